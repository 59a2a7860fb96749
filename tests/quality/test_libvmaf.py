"""FFmpeg compares the samples as they are, whatever the clips' tags, their names, and the names of our own files."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from harness.errors import HarnessError
from harness.media.encode import encode_frames
from harness.media.ffmpeg import find_ffmpeg
from harness.media.open import Clip, open_clip
from harness.media.pairing import Input, as_input
from harness.media.y4m import write_y4m
from harness.quality.libvmaf import PairedInput, measure, pooled, read_log
from tests.helpers.clips import noisy_clip as clip
from tests.helpers.clips import write_clip

ODD = "12:30 [x264], 50%d; it's a \\ b=c"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """A clip without colour tags."""
    return open_clip(write_clip(tmp_path_factory.mktemp("source") / "source.mkv", frames=4))


def vmaf(reference: Input, distorted: Input, count: int = 4) -> list[float]:
    paired = PairedInput(reference, distorted, 0, 0, count, Fraction(25))
    log = measure(find_ffmpeg(), paired, metrics=("psnr", "xpsnr"))
    return [*log.column("vmaf").tolist(), *log.column("psnr_y").tolist(), *log.column("xpsnr_y").tolist()]


def written(source: Clip, folder: Path, **tags: str) -> list[Input]:
    """The source as a y4m, and an encode of it, with these tags."""
    info = replace(source.info, **tags)  # type: ignore[arg-type]
    frames = [replace(frame, range=info.range) for frame in source]
    write_y4m(folder / "a.y4m", frames, info.frame_rate)
    encode_frames(folder / "a.mkv", frames, info, options={"crf": "30", "preset": "ultrafast"})
    return [Input(folder / "a.y4m"), Input(folder / "a.mkv")]


@pytest.mark.parametrize("tags", [{"matrix": "bt709"}, {"range": "pc"}, {"matrix": "bt709", "range": "pc"}])
def test_tags_on_one_side_convert_nothing(source: Clip, tmp_path: Path, tags: dict[str, str]) -> None:
    """Where one side alone says BT.709 or full range, FFmpeg converts the other by itself."""
    (tmp_path / "bare").mkdir()
    (tmp_path / "tagged").mkdir()
    bare, tagged = written(source, tmp_path / "bare"), written(source, tmp_path / "tagged", **tags)
    wanted = vmaf(*bare)
    assert min(wanted) < 90
    for pair in (tagged, (bare[0], tagged[1]), (tagged[0], bare[1])):
        assert vmaf(*pair) == pytest.approx(wanted, abs=1e-6)


def test_a_clip_may_be_its_own_reference(source: Clip, tmp_path: Path) -> None:
    side = as_input(source, tmp_path)
    assert vmaf(side, side)[4:] == [60.0] * 8
    late = PairedInput(side, side, 0, 1, 3, Fraction(25))
    assert max(measure(find_ffmpeg(), late, (), ("psnr",)).column("psnr_y")) < 40


def test_any_name_is_read_and_any_folder_takes_the_logs(
    source: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ODD
    folder.mkdir()
    sides = written(source, folder)
    wanted = vmaf(*sides)
    for path in list(folder.iterdir()):
        path.rename(folder / f"-{ODD} {path.name}")
    scratch = folder / f"scratch {ODD}"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.chdir(folder)
    assert vmaf(*(Input(Path(f"-{ODD} a.{suffix}")) for suffix in ("y4m", "mkv"))) == wanted


def test_raw_video_keeps_its_size_and_format(source: Clip, tmp_path: Path) -> None:
    path = tmp_path / "a.yuv"
    planes = [np.ravel(plane) for frame in source for plane in (frame.y, frame.u, frame.v) if plane is not None]
    path.write_bytes(np.concatenate(planes).tobytes())
    raw = open_clip(path, (source.info.width, source.info.height), "yuv420p", 25)
    assert vmaf(as_input(source, tmp_path), as_input(raw, tmp_path))[4:] == [60.0] * 8


def test_pooling_is_libvmafs_own(shared):
    log = json.loads((shared / "golden/libby.640x360.crf34.upstream_v1.json").read_text())
    for name, stats in log["pooled_metrics"].items():
        values = np.array([frame["metrics"][name] for frame in log["frames"]])
        assert pooled(values) == pytest.approx(stats, abs=1.1e-6)


def write_log(path, frames):
    content = {"version": "x", "frames": [{"frameNum": n, "metrics": m} for n, m in frames]}
    path.write_text(json.dumps(content))
    return path


def test_libvmafs_log_is_never_averaged_over_holes(tmp_path):
    good = [(0, {"vmaf": 1.0}), (1, {"vmaf": 2.0})]
    assert read_log(write_log(tmp_path / "a", good), range(2), ["vmaf"]).column("vmaf").tolist() == [1, 2]
    for frames, words in [
        (good[:1], "scored 1 of 2 frames: frame 1 is missing"),
        ([*good, (2, {"vmaf": 1.0})], "scored 3 of 2 frames: frame 2 was not asked for"),
        ([good[0], (1, {"vmaf": None})], "vmaf = null for frame 1"),
        ([good[0], (1, {"vmaf": float("nan")})], "NaN is no finite number"),
        ([good[0], (1, {})], "vmaf = null for frame 1"),
        ([], "scored 0 of 2 frames: frame 0 is missing"),
    ]:
        with pytest.raises(HarnessError, match=words):
            read_log(write_log(tmp_path / "a", frames), range(2), ["vmaf"])
    (tmp_path / "a").write_text('{"frames": 3}')
    with pytest.raises(HarnessError, match="shape of libvmaf's log"):
        read_log(tmp_path / "a", range(2))


@pytest.mark.parametrize(("metrics", "words"), [((), "libvmaf scored 4 of 6"), (("xpsnr",), "scored 4 of 6")])
@pytest.mark.parametrize("short", ["reference", "distorted"])
def test_a_side_that_ends_early_is_not_padded_with_its_last_frame(tmp_path, short, metrics, words):
    counts = {"reference": 6, "distorted": 6, short: 4}
    reference, distorted = (as_input(clip(tmp_path / f"{side}.y4m", n), tmp_path) for side, n in counts.items())
    with pytest.raises(HarnessError, match=words):
        measure(find_ffmpeg(), PairedInput(reference, distorted, 0, 0, 6, Fraction(25)), metrics=metrics)
