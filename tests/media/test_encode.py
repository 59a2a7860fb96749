"""The one encode: what a file states of its pictures, what is refused, and the same bytes for the same pictures."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from harness.errors import HarnessError, InputError
from harness.media import encode
from harness.media.encode import encode_frames, encoder_options
from harness.media.frames import ClipInfo, Frame, bt709
from harness.media.map_files import overlay_writer
from harness.media.open import open_clip
from tests.helpers import ROOT
from tests.helpers.clips import synthetic

INFO = ClipInfo(
    Path("synthetic"), 64, 48, "yuv420p", 8, "420", Fraction(30000, 1001), None, "bt709", "pc", "bt709", "iec61966-2-1",
    pixel_shape=Fraction(16, 11),
)  # fmt: skip


def frames(count: int = 5) -> list[Frame]:
    return [
        replace(synthetic(64, 48, "420", index), index=index, time=float(index / INFO.frame_rate))
        for index in range(count)
    ]


@pytest.mark.parametrize("encoder", ["libx264", "libx265", "ffv1", "libvpx-vp9"])
def test_a_file_states_what_its_pictures_are(tmp_path: Path, encoder: str) -> None:
    path, info = tmp_path / "a.mkv", INFO
    written = encode_frames(path, frames(), info, encoder)
    clip = open_clip(path)
    found = clip.info
    assert written.frames == len(list(clip)) == 5
    assert (found.matrix, found.range, found.primaries, found.transfer) == ("bt709", "pc", "bt709", "iec61966-2-1")
    assert found.pixel_shape == info.pixel_shape and abs(found.frame_rate / info.frame_rate - 1) < 1e-3
    with av.open(str(path)) as container:
        muxed = sum(packet.size for packet in container.demux(video=0))
    assert written.bytes == pytest.approx(muxed, abs=5), "a start code of 3 bytes is a length of 4 in the file"


def test_the_same_pictures_make_the_same_file(tmp_path: Path) -> None:
    for name in ("one.mkv", "two.mkv"):
        encode_frames(tmp_path / name, frames(), INFO)
    assert (tmp_path / "one.mkv").read_bytes() == (tmp_path / "two.mkv").read_bytes()


@pytest.mark.parametrize("name", ["12:30 [x264], 50%d 'x' \\ end.mkv", "-leading.mkv"])
def test_any_name_is_a_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    encode_frames(Path(name), frames(), INFO, "libvpx-vp9")  # whose pixel shape the program adds
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert open_clip(Path(name)).info.pixel_shape == INFO.pixel_shape


def test_what_would_not_be_applied_is_refused(tmp_path: Path) -> None:
    for encoder, options, words in (
        ("libnever", {}, "libnever is not in this PyAV's FFmpeg"),
        ("libx264", {"crfs": "20"}, "libx264 knows no option 'crfs'"),
    ):
        with pytest.raises(InputError, match=words):
            encode_frames(tmp_path / "a.mkv", frames(), INFO, encoder, options)
    with pytest.raises(HarnessError, match=r"nothing to encode into a\.mkv: no frames"):
        encode_frames(tmp_path / "a.mkv", [], INFO)
    with pytest.raises(HarnessError, match="libx264 failed on synthetic"):
        encode_frames(tmp_path / "a.mkv", frames(), INFO, "libx264", {"preset": "never"})


def test_x264_is_trimmed_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "steady", lambda options: {**options, "x264-params": "asm=SSE2"})
    assert encoder_options("libx264", {"crf": "9"}) == {"crf": "9", "x264-params": "asm=SSE2"}
    assert encoder_options("libx265", {"crf": "9"}) == {"crf": "9"}
    using = [path for folder in ("harness", "train") for path in (ROOT / folder).rglob("*.py")]
    assert [path.name for path in using if "media.x264 import" in path.read_text()] == ["encode.py"]
    opening = [path.name for path in using if "add_stream(" in path.read_text()]
    assert sorted(opening) == ["encode.py"], "no other place encodes"


def test_an_overlay_is_shown_in_the_colours_it_was_drawn_in(tmp_path: Path) -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    with overlay_writer(tmp_path / "a.mp4", Fraction(25)) as keep:
        for _ in range(3):
            keep(red, np.ones((48, 64), np.float32))
    clip = open_clip(tmp_path / "a.mp4")
    assert (clip.info.matrix, clip.info.range, clip.info.frames) == ("bt709", "tv", 3)
    drawn_red = bt709(np.full((48, 64, 3), (178, 28, 0), np.uint8))
    frame = next(iter(clip))
    assert frame.v is not None
    assert abs(int(frame.v[12, 16]) - np.frombuffer(memoryview(drawn_red.planes[2]), np.uint8)[0]) <= 2
