"""ROI encodes: real encoders follow the map, others are refused, odd inputs work, nothing is left half-written."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from harness.errors import HarnessError, InconclusiveError, InputError
from harness.media.ffmpeg import find_ffmpeg
from harness.media.frames import ClipInfo, Frame
from harness.media.open import open_clip
from harness.media.pictures import resized
from harness.models.sources import CentrePrior, Mapper
from harness.models.working_size import NATIVE, WorkingSize
from harness.roi.encode import encode
from harness.roi.encoders import ENCODERS, Settings, find_encoder
from harness.roi.encoders.base import Encoder
from harness.roi.export import EXPORTS, write_kvazaar, write_svtav1
from harness.roi.offsets import Share, Strength, block_areas, block_means
from harness.roi.plans import plans_of
from harness.roi.proof import probe, stream_digest
from harness.roi.regions import Region, painted, regions_of
from harness.roi.side_data import REGION, Attacher
from harness.saliency.smoothing import Smoother
from harness.studies.roi.encode import Steered, Steering, parse_share, steer
from tests.helpers import ROOT
from tests.helpers.clips import write_clip

ABLE = [
    name for name, encoder in ENCODERS.items() if encoder.route in ("side-data", "roi-file") and not encoder.hardware
]
FAST = {"libx264": "veryfast", "libx265": "ultrafast", "libkvazaar": "ultrafast"}


@dataclasses.dataclass(frozen=True)
class FlatMap:
    """A map that asks for nothing."""

    name: str = "flat"
    digest: str = "flat"
    sees: bool = False

    def open(self, threads: int) -> Mapper:
        return lambda name, rgb, working: np.full(rgb.shape[:2], 0.5, np.float32)


def run(clip: Path, out: Path, encoder: str = "libx264", source: Any = None, **more: Any) -> Steered:
    settings = more.pop("settings", Settings(preset=FAST.get(encoder)))
    steering = Steering(source or CentrePrior(), NATIVE, more.pop("knob", Strength(4)), 1.0)
    return steer(open_clip(clip), out, find_encoder(encoder), settings, steering, **more)


def test_every_picture_carries_exactly_its_own_grid() -> None:
    rng = np.random.default_rng(3)
    info = ClipInfo(Path("drawn"), 200, 120, "yuv420p", 8, "420", Fraction(25), None)
    attacher = Attacher(info, ENCODERS["libx264"])
    for index, levels in enumerate((2, 9, 1, 4, 9, 2)):  # few and many regions, a flat grid between
        offsets = rng.integers(0, levels, (8, 13)) - float(levels // 2)
        luma, chroma = rng.integers(0, 255, (120, 200)).astype(np.uint8), np.full((60, 100), 90 + index, np.uint8)
        picture = attacher.picture(Frame(index, 0, luma, chroma, chroma, "yuv420p", 8, "420"), offsets)
        assert np.array_equal(picture.to_ndarray()[:120], luma)
        rows = [row for side in picture.side_data for row in np.frombuffer(bytes(side), REGION)]
        regions = [
            Region(
                r["left"], r["top"], r["right"] - r["left"], r["bottom"] - r["top"], r["numerator"] / r["denominator"]
            )
            for r in rows
        ]
        assert {int(r["size"]) for r in rows} <= {28} and {int(r["denominator"]) for r in rows} <= {51_000}
        wanted = np.kron(offsets, np.ones((16, 16)))[:120, :200]
        assert np.allclose(painted(regions, 120, 200) * 51, wanted, atol=1e-4)
        assert len({region.offset for region in regions}) <= np.unique(offsets).size


@pytest.mark.parametrize("name", ABLE)
def test_a_left_right_map_moves_bits_left_and_right(name: str) -> None:
    settings = Settings(preset=FAST.get(name))
    found = probe(find_encoder(name), settings)
    least = 1.05 if name == "libvpx" else 1.1  # VP8 has four segments
    assert found.favoured > least * found.plain > least * found.disfavoured


@pytest.mark.skipif(not shutil.which("SvtAv1EncApp"), reason="no SvtAv1EncApp on PATH")
def test_svtav1s_own_program_follows_a_map_and_keeps_the_colours(tmp_path: Path) -> None:
    found = probe(find_encoder("SvtAv1EncApp"), Settings(preset="10"))
    assert found.favoured > 1.1 * found.plain > 1.1 * found.disfavoured
    clip = write_clip(tmp_path / "clip.mkv", size=(320, 192), audio=True)
    result = run(clip, tmp_path / "out.mp4", "SvtAv1EncApp", settings=Settings(crf=40, preset="10"))
    assert open_clip(result.path).info.audio == 1 and result.comparison.finer_psnr_change > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mkv", "out.mp4"]


def test_svtav1s_own_program_is_refused_where_it_is_absent_or_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"no program SvtAv1EncApp on PATH .*--export-map svtav1:PATH"):
        probe(find_encoder("SvtAv1EncApp"), Settings())
    old = tmp_path / "SvtAv1EncApp"
    old.write_text("#!/bin/sh\necho --crf\n")
    old.chmod(0o755)
    with pytest.raises(InputError, match=r"SvtAv1EncApp knows no --roi-map-file .needs a later version"):
        probe(find_encoder("SvtAv1EncApp"), Settings())


def test_the_map_alone_is_written_where_svtav1s_program_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    clip, wanted = write_clip(tmp_path / "clip.y4m", size=(320, 192), frames=4), tmp_path / "map.txt"
    export = ("svtav1", wanted)
    with pytest.raises(HarnessError, match=r"map.txt is written, but no encode was made: no program SvtAv1") as failed:
        run(clip, tmp_path / "out.mkv", "SvtAv1EncApp", settings=Settings(), export=export)
    assert failed.value.exit_code == 1
    assert {len(line.split()) for line in wanted.read_text().splitlines()} == {1 + 5 * 3}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.y4m", "map.txt"]
    wanted.unlink()
    with pytest.raises(InconclusiveError, match="flat"):
        run(clip, tmp_path / "out.mkv", "SvtAv1EncApp", FlatMap(), settings=Settings(), export=export)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.y4m"]


@pytest.mark.parametrize("name", ["h264_qsv", "hevc_qsv"])
def test_quick_sync_follows_a_map_or_says_what_it_needs(name: str) -> None:
    try:
        found = probe(find_encoder(name), Settings())
    except InputError as error:
        assert re.search(f"{name} (does not open: .*needs Intel graphics|is not in this PyAV)", str(error))
    else:
        assert found.favoured > found.plain > found.disfavoured


def test_an_encoder_of_few_rectangles_and_packed_pixels_gets_what_it_takes(tmp_path: Path) -> None:
    able = dataclasses.replace(ENCODERS["libx264"], regions=12, layouts=(("yuv420p", "nv12"),))
    clip = open_clip(write_clip(tmp_path / "clip.mkv", size=(320, 192), frames=6))
    rng = np.random.default_rng(5)

    def blobs(name: str, rgb: np.ndarray, working: WorkingSize) -> np.ndarray:
        return resized(rng.random((4, 6)).astype(np.float32), (192, 320))

    planned = list(plans_of(clip, blobs, NATIVE, Strength(8), able))
    counts = [len(regions_of(plan.offsets, 16, 192, 320)) for _, plan in planned]
    assert 2 <= min(counts) < max(counts) <= 12
    attacher = Attacher(clip.info, able)
    for (frame, plan), count in zip(planned, counts, strict=True):
        assert sum(len(bytes(side)) for side in attacher.picture(frame, plan.offsets).side_data) == 28 * count
    assert probe(able, Settings(preset="veryfast")).favoured > probe(able, Settings(preset="veryfast")).plain


def test_vp8_does_not_choose_its_effort_by_the_clock() -> None:
    assert probe(find_encoder("libvpx"), Settings()) == probe(find_encoder("libvpx"), Settings())


@pytest.mark.parametrize("name", ["libsvtav1", "libaom-av1", "libvvenc", "librav1e", "hevc_nvenc", "h264_vaapi"])
def test_encoders_that_ignore_maps_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} cannot be steered: .*allowed: libx264"):
        find_encoder(name)


def test_an_unknown_encoder_is_refused() -> None:
    with pytest.raises(InputError, match="allowed: libx264"):
        find_encoder("x264")


def test_the_probe_catches_an_encoder_that_ignores_its_map_in_silence() -> None:
    liar = Encoder("libsvtav1", "side-data", translate=lambda settings: {"preset": "12"})
    with pytest.raises(HarnessError, match="does not follow a map"):
        probe(liar, Settings())


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("libx264", ("aq-mode", "0")),
        ("libx264", ("qp", "30")),
        ("libx264", ("x264-params", "no-mbtree=1:aq_mode=0")),
        ("libx264", ("x264-params", "qp=20")),
        ("libx264", ("x264opts", "qp=20")),
        ("libx265", ("x265-params", "aq-mode=0")),
        ("libx265", ("qp", "30")),
        ("libvpx-vp9", ("deadline", "good")),
        ("libvpx-vp9", ("cpu-used", "2")),
        ("libvpx-vp9", ("aq-mode", "3")),
    ],
)
def test_options_that_switch_the_map_off_are_refused(name: str, option: tuple[str, str]) -> None:
    with pytest.raises(InputError, match=r"allowed|only with"):
        find_encoder(name).options(Settings(options=(option,)))


@pytest.mark.parametrize("bad", [{"crf": 20, "bitrate": 100}, {"bitrate": 0}, {"two_pass": True}])
def test_settings_that_make_no_sense_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="allowed"):
        Settings(**bad)


@pytest.mark.parametrize(
    ("name", "bad", "allowed"),
    [
        ("libx264", {"crf": 999}, "crf 999 with libx264 .allowed: 0 to 51"),
        ("libvpx-vp9", {"crf": 64}, "crf 64 with libvpx-vp9 .allowed: 0 to 63"),
        ("libx265", {"preset": "foo"}, "preset 'foo' with libx265 .allowed: ultrafast, .*placebo"),
        ("libkvazaar", {"preset": "foo"}, "preset 'foo' with libkvazaar .allowed: ultrafast"),
        ("libvpx", {"bitrate": 99, "two_pass": True}, "two passes with libvpx .allowed for: libx264"),
        ("libx264", {"options": (("tune", "foo"),)}, "libx264 refuses option tune=foo"),
        ("libx264", {"options": (("foo", "1"),)}, "libx264 knows no option 'foo'"),
        ("libx264", {"options": (("x264-params", "foo=1"),)}, "libx264 would ignore a part of .*option 'foo = 1'"),
        (
            "libkvazaar",
            {"options": (("kvazaar-params", "foo=1"),)},
            "libkvazaar would ignore a .*: Invalid option: foo=1",
        ),
        ("libkvazaar", {"options": (("foo", "1"),)}, "libkvazaar refuses option foo=1: .*Unrecognized option 'foo'"),
        ("libx265", {"options": (("x265-params", "foo=1"),)}, "libx265 would ignore a part of .*Unknown option: foo"),
    ],
)
def test_settings_are_refused_in_the_encoders_own_terms(
    name: str, bad: dict[str, Any], allowed: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=allowed):
        run(write_clip(tmp_path / "clip.y4m", frames=1), tmp_path / "out.mkv", name, settings=Settings(**bad))
    assert [path.name for path in tmp_path.iterdir()] == ["clip.y4m"]


def test_two_passes_meet_the_bitrate_that_one_misses(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", size=(320, 192), frames=50)
    one, two = (
        run(clip, tmp_path / f"{two}.mkv", "libx265", settings=Settings(bitrate=90, preset="ultrafast", two_pass=two))
        for two in (False, True)
    )
    wanted = 90_000 / 8 * 2
    assert abs(two.comparison.roi_bytes - wanted) < 0.15 * wanted < abs(one.comparison.roi_bytes - wanted)
    assert abs(two.comparison.plain_bytes - wanted) < 0.15 * wanted and two.comparison.finer_psnr_change > 0


def test_x264_takes_two_passes(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", size=(320, 192), frames=25)
    settings = Settings(bitrate=120, preset="veryfast", two_pass=True, options=(("x264-params", "no-mbtree=1"),))
    result = run(clip, tmp_path / "out.mkv", settings=settings)
    settings = dataclasses.replace(settings, two_pass=False)
    assert result.comparison.roi_bytes != run(clip, tmp_path / "one.mkv", settings=settings).comparison.roi_bytes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mkv", "one.mkv", "out.mkv"]


def test_the_proof_shows_quality_moving_to_the_salient_deciles(tmp_path: Path) -> None:
    result = run(write_clip(tmp_path / "clip.y4m"), tmp_path / "out.mkv")
    first, last = result.comparison.deciles[0], result.comparison.deciles[-1]
    assert first.saliency > last.saliency and first.offset_qp < 0 < last.offset_qp
    assert first.psnr_roi > first.psnr_plain and last.psnr_roi < last.psnr_plain
    assert result.frames == open_clip(result.path).info.frames or sum(1 for _ in open_clip(result.path)) == 8


@pytest.mark.parametrize("encoder", ["libx265", "libvpx-vp9", "libkvazaar"])
def test_other_encoders_prove_it_on_a_clip_too(encoder: str, tmp_path: Path) -> None:
    result = run(write_clip(tmp_path / "clip.y4m", size=(320, 192)), tmp_path / "out.mkv", encoder)
    assert result.comparison.finer_psnr_change > result.comparison.coarser_psnr_change


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv422p", "yuv444p"])
def test_depths_and_chroma_are_kept(pix_fmt: str, tmp_path: Path) -> None:
    result = run(write_clip(tmp_path / "clip.mkv", pix_fmt=pix_fmt), tmp_path / "out.mkv")
    assert open_clip(result.path).info.pix_fmt == pix_fmt


def test_an_odd_size_works_where_the_encoder_takes_it_and_is_refused_elsewhere(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", size=(213, 119))
    assert open_clip(run(clip, tmp_path / "out.mkv", "libvpx-vp9").path).info.width == 213
    with pytest.raises(InputError, match="libx264 takes no 213x119"):
        run(clip, tmp_path / "no.mkv")
    with pytest.raises(InputError, match=r"libkvazaar takes no 324x180 .* multiples of 8"):
        run(write_clip(tmp_path / "even.mkv", size=(324, 180)), tmp_path / "no.mkv", "libkvazaar")


@pytest.mark.parametrize("encoder", ["libx264", "libx265", "libvpx-vp9", "libkvazaar"])
def test_colour_tags_are_kept(encoder: str, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"  # limited-range BT.709, by definition
    folder.mkdir()
    for index, frame in enumerate(open_clip(write_clip(tmp_path / "clip.mkv", size=(320, 192), frames=2))):
        frame.picture().to_image().save(folder / f"{index}.png")
    info = open_clip(run(folder, tmp_path / "out.mkv", encoder).path).info
    assert (info.matrix, info.range, info.primaries, info.transfer) == ("bt709", "tv", "bt709", "bt709")


@pytest.mark.parametrize(
    ("encoder", "suffix"),
    [("libx264", ".mp4"), ("libx264", ".mkv"), ("libx265", ".265"), ("libvpx-vp9", ".webm"), ("libkvazaar", ".mp4")],
)
def test_the_shape_of_pixels_is_kept(encoder: str, suffix: str, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mkv"
    plain = write_clip(tmp_path / "plain.mkv", size=(320, 192), frames=4, audio=suffix == ".mkv")
    find_ffmpeg().run(["-i", plain, "-c", "copy", "-aspect", "20:9", clip])  # pixels of 4:3
    shape = open_clip(clip).info.pixel_shape
    assert abs(shape - Fraction(4, 3)) < 0.01
    result = run(clip, tmp_path / f"out{suffix}", encoder)
    info = open_clip(result.path).info
    assert abs(info.pixel_shape - shape) < 0.01 and info.audio == (suffix == ".mkv")
    assert len(list(open_clip(result.path))) == 4
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("suffix", [".y4m", ".mkv"])
def test_fields_are_refused_with_the_remedy_wherever_they_begin(suffix: str, tmp_path: Path) -> None:
    plain, clip = write_clip(tmp_path / "plain.mkv", frames=4), tmp_path / f"clip{suffix}"
    codec = ["-c:v", "mpeg2video", "-flags", "+ildct+ilme"] if suffix == ".mkv" else []
    find_ffmpeg().run(["-i", plain, "-vf", "setfield=tff", *codec, clip])
    with pytest.raises(InputError, match=r"frame 0 of .* is interlaced.*-vf bwdif"):
        run(clip, tmp_path / "out.mkv")
    info = open_clip(plain).info
    mixed = [(dataclasses.replace(frame, interlaced=frame.index == 2), None) for frame in open_clip(plain)]
    with pytest.raises(InputError, match="frame 2 of"):
        encode(info, mixed, find_encoder("libx264"), Settings(preset="veryfast"), tmp_path / "mixed.mkv")
    assert not (tmp_path / "out.mkv").exists()
    find_ffmpeg().run(["-i", clip, "-vf", "bwdif", tmp_path / "whole.mkv"])
    assert run(tmp_path / "whole.mkv", tmp_path / "out.mkv").frames == 8  # a frame of each field


@pytest.mark.parametrize("turn", [["-display_rotation", "90"], ["-display_vflip"], ["-display_hflip"]])
def test_turned_and_mirrored_clips_are_refused_with_the_remedy(turn: list[str], tmp_path: Path) -> None:
    plain, clip = write_clip(tmp_path / "plain.mkv", frames=2), tmp_path / "clip.mkv"
    find_ffmpeg().run([*turn, "-i", plain, "-c", "copy", clip])
    with pytest.raises(InputError, match=r"turned or mirrored.*turn it first"):
        run(clip, tmp_path / "out.mkv")
    find_ffmpeg().run(["-i", clip, tmp_path / "turned.mkv"])
    assert run(tmp_path / "turned.mkv", tmp_path / "out.mkv").frames == 2


def test_one_frame_works(tmp_path: Path) -> None:
    assert run(write_clip(tmp_path / "clip.y4m", frames=1), tmp_path / "out.mkv").frames == 1


def test_variable_frame_times_are_kept(tmp_path: Path) -> None:
    times = [0, 40, 80, 200, 240, 400, 440, 880]
    result = run(write_clip(tmp_path / "clip.mkv", times=times), tmp_path / "out.mkv")
    assert [round(1000 * frame.time) for frame in open_clip(result.path)] == times


def test_audio_is_copied_bit_for_bit(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", audio=True)
    result = run(clip, tmp_path / "out.mkv")

    def sound(path: Path) -> bytes:
        with av.open(str(path)) as container:
            return b"".join(bytes(packet) for packet in container.demux(audio=0))

    assert sound(result.path) == sound(clip) != b""


def test_share_knob_and_bitrate_target_work(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.y4m")
    result = run(clip, tmp_path / "o.mkv", knob=Share(0.25, 0.4), settings=Settings(bitrate=3000, preset="veryfast"))
    assert result.comparison.finer_psnr_change > 0


def test_a_flat_map_is_inconclusive_and_leaves_nothing(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.y4m")
    with pytest.raises(InconclusiveError, match="flat"):
        run(clip, tmp_path / "out.mkv", source=FlatMap())
    assert [path.name for path in tmp_path.iterdir()] == ["clip.y4m"]


def test_a_strength_below_the_encoders_step_is_named_instead_of_the_maps(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.y4m")
    with pytest.raises(InconclusiveError, match=r"strength:0\.3 on .* \+0 to \+0 QP in libx264's steps of 1: .*larger"):
        run(clip, tmp_path / "out.mkv", knob=Strength(0.3))
    assert [path.name for path in tmp_path.iterdir()] == ["clip.y4m"]


def test_writing_over_the_source_or_to_a_foreign_container_is_refused(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv")
    with pytest.raises(InputError, match="the clip itself"):
        run(clip, clip)
    with pytest.raises(InputError, match=r"does not write '\.avi'"):
        run(clip, tmp_path / "out.avi")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mkv"]


def test_neither_the_source_nor_another_target_is_ever_written_over(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=2)
    before, out = clip.read_bytes(), tmp_path / "out.mkv"
    (tmp_path / "link.mkv").symlink_to(clip)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    next(iter(open_clip(clip))).picture().to_image().save(pictures / "0.png")
    for source, more, says in (
        (clip, {"preview": clip}, "the clip itself"),
        (clip, {"preview": tmp_path / "link.mkv"}, "the clip itself"),
        (clip, {"export": ("npz", pictures / ".." / "clip.mkv")}, "the clip itself"),
        (clip, {"preview": out}, "are one place"),
        (clip, {"export": ("npz", out)}, "are one place"),
        (clip, {"preview": tmp_path / "a.png", "export": ("npz", tmp_path / "a.png")}, "are one place"),
        (clip, {"preview": tmp_path / "maps" / "a.png", "export": ("png", tmp_path / "maps")}, "are one place"),
        (pictures, {"preview": pictures / "0.png"}, "among the clip's pictures"),
    ):
        with pytest.raises(InputError, match=says):
            run(source, out, **more)
    assert clip.read_bytes() == before
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["0.png", "clip.mkv", "link.mkv", "pictures"]


def test_targets_that_cannot_be_written_are_refused_before_any_encode(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=2)
    (tmp_path / "folder.png").mkdir()
    heard: list[str] = []
    for more in (
        {"preview": tmp_path / "folder.png"},
        {"preview": clip / "look.png"},
        {"preview": tmp_path / f"{'long' * 70}.png"},
        {"export": ("npz", tmp_path / "folder.png")},
        {"export": ("png", clip / "maps")},
    ):
        with pytest.raises(InputError, match=r"cannot write .*(long|look|folder|maps)"):
            run(clip, tmp_path / "new" / "out.mkv", progress=lambda stage, done: heard.append(stage), **more)
    assert not heard and sorted(path.name for path in tmp_path.iterdir()) == ["clip.mkv", "folder.png"]


@pytest.mark.parametrize(("encoder", "sign"), [("libx264", ".roi-*"), ("libkvazaar", "*.roi.txt")])
def test_interrupt_leaves_no_partial_output_and_no_orphan(encoder: str, sign: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.y4m", size=(640, 384), frames=60)
    command = [sys.executable, "-m", "harness", "roi-encode", str(clip), "--model", "centre-prior"]
    command += ["--encoder", encoder, "--preset", "veryslow", "--out", str(tmp_path / "out.mkv")]
    child = subprocess.Popen(command, env=os.environ, stderr=subprocess.DEVNULL, cwd=ROOT)
    while child.poll() is None and not list(tmp_path.rglob(sign)):
        time.sleep(0.05)
    time.sleep(0.5)
    working = processes_on(tmp_path)
    child.send_signal(signal.SIGINT)
    assert child.wait(20) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["clip.y4m"]
    assert len(working) == (2 if encoder == "libkvazaar" else 1) and not processes_on(tmp_path)


def processes_on(folder: Path) -> list[str]:
    """Command lines of the processes that name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode())
    return [line for line in found if str(folder) in line]


@pytest.mark.parametrize("encoder", ["libx264", "libkvazaar"])
def test_subtitles_are_copied_or_the_container_refused(encoder: str, tmp_path: Path) -> None:
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,000 --> 00:00:00,200\nA drifting texture\n")
    bare, clip = write_clip(tmp_path / "bare.mkv", size=(320, 192)), tmp_path / "clip.mkv"
    find_ffmpeg().run(["-i", bare, "-i", words, "-map", "0", "-map", "1", "-c", "copy", clip])
    with av.open(str(run(clip, tmp_path / "out.mkv", encoder).path)) as container:
        texts = [bytes(packet) for packet in container.demux(subtitles=0) if packet.size]
    assert texts == [b"A drifting texture"]
    with pytest.raises(InputError, match=r"out.mp4 takes no subtitle stream subrip \(allowed: .mkv"):
        run(clip, tmp_path / "out.mp4", encoder)
    assert not (tmp_path / "out.mp4").exists()


def test_preview_and_exports_are_written(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.y4m")
    run(clip, tmp_path / "out.mkv", preview=tmp_path / "look.png", export=("npz", tmp_path / "map.npz"))
    assert (tmp_path / "look.png").read_bytes().startswith(b"\x89PNG")
    assert np.load(tmp_path / "map.npz")["offsets_qp"].shape == (8, 6, 10)


def test_export_formats(tmp_path: Path) -> None:
    grids = [np.array([[-4.0, 4.0]]), np.array([[-4.0, 4.0]]), np.array([[0.0, 2.0]])]
    write_kvazaar(tmp_path / "k", grids[:1])
    assert (tmp_path / "k").read_text() == "2 1\n-4 4\n"
    write_svtav1(tmp_path / "s", grids)
    assert (tmp_path / "s").read_text() == "0 -20 20\n2 0 10\n"
    with pytest.raises(InputError, match="SVT-AV1 takes 8"):
        write_svtav1(tmp_path / "no", [np.arange(9.0)[None]])
    assert set(EXPORTS) == {"kvazaar", "svtav1", "x264-json", "png", "npz"}


def test_the_svtav1_export_has_its_own_grid_whatever_encoder_ran(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.y4m", size=(330, 150), frames=2)
    run(clip, tmp_path / "out.mkv", export=("svtav1", tmp_path / "map.txt"))
    line = [int(word) for word in (tmp_path / "map.txt").read_text().splitlines()[0].split()]
    grid = np.reshape(line[1:], (3, 6)) / 5  # blocks of 64, from qindex back to QP
    centre = CentrePrior().open(1)("", np.zeros((150, 330, 3), np.uint8), NATIVE)
    assert line[0] == 0 and len(set(line[1:])) <= 8
    assert np.corrcoef(block_means(centre, 64).ravel(), grid.ravel())[0, 1] < -0.95
    areas = block_areas(150, 330, 64)
    assert abs((grid * areas).sum() / areas.sum()) < 0.6 and -4 - 1.6 < grid.min() < -2 < 2 < grid.max()


def test_the_png_export_is_a_folder_of_small_pictures(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.y4m", frames=2)
    run(clip, tmp_path / "out.mkv", export=("png", tmp_path / "maps"))
    with Image.open(tmp_path / "maps" / "00001.png") as picture:
        grid = np.asarray(picture).astype(int)
    assert grid.shape == (6, 10) and grid[3, 5] > 128 > grid[0, 0] and not (grid % 4).any()
    with pytest.raises(InputError, match="maps exists"):
        run(clip, tmp_path / "again.mkv", export=("png", tmp_path / "maps"))
    assert not (tmp_path / "again.mkv").exists()


def test_a_preview_video_shows_every_frame(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=5)
    run(clip, tmp_path / "out.mkv", preview=tmp_path / "look.mp4")
    info = open_clip(tmp_path / "look.mp4").info
    assert (info.frames, info.width, info.height) == (5, 320, 2 * (96 + 24))
    with pytest.raises(InputError, match=r"allowed: a \.png of one frame, or .mp4"):
        run(clip, tmp_path / "no.mkv", preview=tmp_path / "look.gif")


def test_smoothing_averages_and_restarts_at_a_cut() -> None:
    smoother = Smoother(0.5)
    dark, bright = np.zeros((16, 16), np.uint8), np.full((16, 16), 200, np.uint8)
    zero, one = np.zeros((16, 16), np.float32), np.ones((16, 16), np.float32)
    assert smoother.add(zero, dark, 255).mean() == 0
    assert smoother.add(one, dark, 255).mean() == 0.5
    assert smoother.add(one, bright, 255).mean() == 1


@pytest.mark.parametrize("bad", ["0.25", "a:b", "0.5:0.2"])
def test_bad_shares_are_refused(bad: str) -> None:
    with pytest.raises(InputError, match="allowed"):
        parse_share(bad)


def test_encodes_of_pictures_repeat_to_the_byte(pictures: Path, tmp_path: Path) -> None:
    clip, digests = open_clip(pictures), set()
    for name in ("one.mkv", "two.mkv", "three.mkv"):
        out = tmp_path / name
        encode(clip.info, ((frame, None) for frame in clip), find_encoder("libx264"), Settings(crf=43), out)
        digests.add(stream_digest(out))
    assert len(digests) == 1
