"""ROI encodes: real encoders follow the map, others are refused, odd inputs work, nothing is left half-written."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import ExifTags, Image

from harness.errors import InconclusiveError, InputError
from harness.media.ffmpeg import find_ffmpeg
from harness.media.open import open_clip
from harness.models.working_size import NATIVE
from harness.roi.encode import encode
from harness.roi.encoders import Settings, find_encoder
from harness.roi.laws import Law
from harness.roi.offsets import Share, Strength
from harness.studies.roi.encode import Steering, parse_share, roi_encode
from tests.helpers import ROOT
from tests.helpers.clips import write_clip
from tests.helpers.containers import ff, packed
from tests.helpers.roi import FlatMap, Wandering, run


@pytest.mark.slow
def test_two_passes_meet_the_bitrate_that_one_misses(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", size=(320, 192), frames=50)
    one, two = (
        run(clip, tmp_path / f"{two}.mkv", "libx265", settings=Settings(bitrate=90, preset="ultrafast", two_pass=two))
        for two in (False, True)
    )
    wanted = 90_000 / 8 * 2
    assert abs(two.proof.roi_bytes - wanted) < 0.15 * wanted < abs(one.proof.roi_bytes - wanted)
    assert abs(two.proof.plain_bytes - wanted) < 0.15 * wanted and two.proof.finer_psnr_change > 0


@pytest.mark.slow
def test_x264_takes_two_passes(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", size=(320, 192), frames=25)
    settings = Settings(bitrate=120, preset="veryfast", two_pass=True, options=(("x264-params", "no-mbtree=1"),))
    result = run(clip, tmp_path / "out.mkv", settings=settings)
    settings = replace(settings, two_pass=False)
    assert result.proof.roi_bytes != run(clip, tmp_path / "one.mkv", settings=settings).proof.roi_bytes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mkv", "one.mkv", "out.mkv"]


def test_the_proof_shows_quality_moving_to_the_salient_deciles(tmp_path: Path) -> None:
    result = run(write_clip(tmp_path / "clip.y4m"), tmp_path / "out.mkv")
    first, last = result.proof.deciles[0], result.proof.deciles[-1]
    assert first.saliency > last.saliency and first.offset_qp < 0 < last.offset_qp
    assert first.psnr_roi > first.psnr_plain and last.psnr_roi < last.psnr_plain
    assert result.frames == open_clip(result.path).info.frames or sum(1 for _ in open_clip(result.path)) == 8


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["libx265", "libvpx-vp9", "libkvazaar"])
def test_other_encoders_prove_it_on_a_clip_too(encoder: str, tmp_path: Path) -> None:
    result = run(write_clip(tmp_path / "clip.y4m", size=(320, 192)), tmp_path / "out.mkv", encoder)
    assert result.proof.finer_psnr_change > result.proof.coarser_psnr_change


@pytest.mark.slow
@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv422p", "yuv444p"])
def test_depths_and_chroma_are_kept(pix_fmt: str, tmp_path: Path) -> None:
    result = run(write_clip(tmp_path / "clip.mkv", pix_fmt=pix_fmt), tmp_path / "out.mkv")
    assert open_clip(result.path).info.pix_fmt == pix_fmt


@pytest.mark.slow
def test_an_odd_size_works_where_the_encoder_takes_it_and_is_refused_elsewhere(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", size=(213, 119))
    assert open_clip(run(clip, tmp_path / "out.mkv", "libvpx-vp9").path).info.width == 213
    with pytest.raises(InputError, match="libx264 takes no 213x119"):
        run(clip, tmp_path / "no.mkv")
    with pytest.raises(InputError, match=r"libkvazaar takes no 324x180 .* multiples of 8"):
        run(write_clip(tmp_path / "even.mkv", size=(324, 180)), tmp_path / "no.mkv", "libkvazaar")


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["libx264", "libx265", "libvpx-vp9", "libkvazaar"])
def test_colour_tags_are_kept(encoder: str, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"  # limited-range BT.709, by definition
    folder.mkdir()
    for index, frame in enumerate(open_clip(write_clip(tmp_path / "clip.mkv", size=(320, 192), frames=2))):
        frame.picture().to_image().save(folder / f"{index}.png")
    info = open_clip(run(folder, tmp_path / "out.mkv", encoder).path).info
    assert (info.matrix, info.range, info.primaries, info.transfer) == ("bt709", "tv", "bt709", "bt709")


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".y4m", ".mkv"])
def test_fields_are_refused_with_the_remedy_wherever_they_begin(suffix: str, tmp_path: Path) -> None:
    plain, clip = write_clip(tmp_path / "plain.mkv", frames=4), tmp_path / f"clip{suffix}"
    codec = ["-c:v", "mpeg2video", "-flags", "+ildct+ilme"] if suffix == ".mkv" else []
    find_ffmpeg().run(["-i", plain, "-vf", "setfield=tff", *codec, clip])
    with pytest.raises(InputError, match=r"frame 0 of .* is interlaced.*-vf bwdif"):
        run(clip, tmp_path / "out.mkv")
    info = open_clip(plain).info
    mixed = [(replace(frame, interlaced=frame.index == 2), None) for frame in open_clip(plain)]
    with pytest.raises(InputError, match="frame 2 of"):
        encode(info, mixed, find_encoder("libx264"), Settings(preset="veryfast"), tmp_path / "mixed.mkv")
    assert not (tmp_path / "out.mkv").exists()
    find_ffmpeg().run(["-i", clip, "-vf", "bwdif", tmp_path / "whole.mkv"])
    assert run(tmp_path / "whole.mkv", tmp_path / "out.mkv").frames == 8  # a frame of each field


@pytest.mark.slow
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


@pytest.mark.slow
def test_variable_frame_times_are_kept(tmp_path: Path) -> None:
    times = [0, 40, 80, 200, 240, 400, 440, 880]
    result = run(write_clip(tmp_path / "clip.mkv", times=times), tmp_path / "out.mkv")
    assert [round(1000 * frame.time) for frame in open_clip(result.path)] == times


@pytest.mark.slow
def test_audio_is_copied_bit_for_bit(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", audio=True)
    result = run(clip, tmp_path / "out.mkv")

    def sound(path: Path) -> bytes:
        with av.open(str(path)) as container:
            return b"".join(bytes(packet) for packet in container.demux(audio=0))

    assert sound(result.path) == sound(clip) != b""


def test_a_share_of_the_centre_prior_steers_where_it_is_asked_for(tmp_path: Path) -> None:
    clip, settings = write_clip(tmp_path / "clip.y4m", frames=2), Settings(preset="veryfast")
    half = Steering(NATIVE, law=Law.parse("centre:0.5"))
    found = roi_encode(clip, Wandering(), tmp_path / "out.mkv", settings=settings, steering=half)
    assert (found.knob, found.law) == ("strength:4", "centre:0.5")
    alone = run(clip, tmp_path / "map.mkv", source=Wandering())
    # the map itself is what deciles are by, under any law
    first, bare = found.proof.deciles[0], alone.proof.deciles[0]
    assert first.saliency == bare.saliency and first.offset_qp > bare.offset_qp


def test_share_knob_and_bitrate_target_work(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.y4m")
    result = run(clip, tmp_path / "o.mkv", knob=Share(0.25, 0.4), settings=Settings(bitrate=3000, preset="veryfast"))
    assert result.proof.finer_psnr_change > 0


@pytest.mark.parametrize("law", ["map", "centre:0.5"])  # that the law adds the centre makes no map of it
def test_a_flat_map_is_inconclusive_and_leaves_nothing(law: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.y4m")
    with pytest.raises(InconclusiveError, match="flat"):
        run(clip, tmp_path / "out.mkv", source=FlatMap(), law=Law.parse(law))
    assert [path.name for path in tmp_path.iterdir()] == ["clip.y4m"]


def test_a_strength_below_the_encoders_step_is_named_instead_of_the_maps(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.y4m")
    with pytest.raises(
        InconclusiveError, match=r"strength:0\.1 on .* \+0 to \+0 QP in libx264's steps of 0\.25: .*larger"
    ):
        run(clip, tmp_path / "out.mkv", knob=Strength(0.1))
    assert [path.name for path in tmp_path.iterdir()] == ["clip.y4m"]


def test_writing_over_the_source_or_to_a_foreign_container_is_refused(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv")
    with pytest.raises(InputError, match="is the clip"):
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
        (clip, {"preview": clip}, "is the clip"),
        (clip, {"preview": tmp_path / "link.mkv"}, "is the clip"),
        (clip, {"export": ("npz", pictures / ".." / "clip.mkv")}, "is the clip"),
        (clip, {"preview": out}, "in one place"),
        (clip, {"export": ("npz", out)}, "in one place"),
        (clip, {"preview": tmp_path / "a.png", "export": ("npz", tmp_path / "a.png")}, "in one place"),
        (clip, {"preview": tmp_path / "maps" / "a.png", "export": ("png", tmp_path / "maps")}, "in one place"),
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


@pytest.mark.slow
@pytest.mark.parametrize(("encoder", "sign"), [("libx264", ".out.part-*/*"), ("libkvazaar", "*.roi.txt")])
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


@pytest.mark.parametrize("bad", ["0.25", "a:b", "0.5:0.2"])
def test_bad_shares_are_refused(bad: str) -> None:
    with pytest.raises(InputError, match="allowed"):
        parse_share(bad)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoder", "suffix"),
    [("libx264", ".mkv"), ("libx264", ".mp4"), ("libvpx-vp9", ".webm"), ("libkvazaar", ".mkv"), ("libkvazaar", ".mp4")],
)
def test_equal_content_is_an_equal_file(encoder: str, suffix: str, tmp_path: Path) -> None:
    """No random ids and no dates, in the encode and in what is shown of it."""
    plain, clip = write_clip(tmp_path / "plain.mkv", size=(320, 192), audio=suffix == ".mkv"), tmp_path / "clip.mkv"
    find_ffmpeg().run(["-i", plain, "-c", "copy", "-aspect", "20:9", clip])
    look = ".mp4" if suffix == ".mp4" else ".mkv" if suffix == ".mkv" else ".png"
    for name in ("one", "two"):
        out = tmp_path / name / f"out{suffix}"
        run(clip, out, encoder, preview=out.with_name(f"look{look}"))
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_the_proof_says_how_far_offsets_really_go(tmp_path: Path) -> None:
    """A zero mean lets the few salient blocks fall by more than the strength, and never by more than twice it."""
    result = run(write_clip(tmp_path / "clip.y4m"), tmp_path / "out.mkv", source=Wandering())
    first, last = result.proof.deciles[0], result.proof.deciles[-1]
    assert -8 <= first.offset_lowest < -4 and first.offset_lowest <= first.offset_qp <= first.offset_highest
    assert 0 < last.offset_lowest == last.offset_highest == last.offset_qp < 4


@pytest.mark.slow
def test_the_proof_says_what_was_really_applied_where_a_decoder_tells(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.y4m", size=(320, 192))
    for row in run(clip, tmp_path / "out.mkv", knob=Strength(8)).proof.deciles:
        assert row.qp_plain is not None and row.qp_roi is not None
        assert abs(row.qp_roi - row.qp_plain - row.offset_qp) < 2.5  # of 16 between the ends
    assert all(row.qp_roi is None for row in run(clip, tmp_path / "vp9.mkv", "libvpx-vp9").proof.deciles)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["16-bit grey", "EXIF orientation 3"])
def test_pictures_of_a_folder_are_encoded_with_their_real_greys_and_upright(tmp_path: Path, kind: str) -> None:
    """They were all white, and upside down; the truth is made here, not by the reader."""
    ramp = np.linspace(20, 235, 320)[None] * np.linspace(0.4, 1, 192)[:, None]
    (tmp_path / "frames").mkdir()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    for number in range(6):
        shown = np.roll(ramp, 8 * number, 1)
        if kind == "16-bit grey":
            Image.fromarray(np.rint(shown * 257).astype(np.uint16)).save(tmp_path / "frames" / f"{number}.png")
        else:
            turned = np.rot90(np.rint(shown).astype(np.uint8), 2)
            Image.fromarray(turned).save(tmp_path / "frames" / f"{number}.jpg", quality=98, exif=exif)
    run(tmp_path / "frames", tmp_path / "out.mkv", settings=Settings(crf=12, preset="veryfast"))
    for number, frame in enumerate(open_clip(tmp_path / "out.mkv")):
        wanted = 16 + np.roll(ramp, 8 * number, 1) * 219 / 255
        assert np.abs(frame.y - wanted).mean() < 2
    assert number == 5


@pytest.mark.slow
def test_times_that_go_back_are_refused_with_the_way_out(tmp_path: Path) -> None:
    """An AVI of packed B-frames gives each frame its packet's time; libx264 said `Invalid argument`."""
    clip = packed(tmp_path / "packed.avi", size="320x192")
    with pytest.raises(InputError, match=r"frame 2 is shown at 0\.080 s, after one at 0\.120 s .*mpeg4_unpack_bframes"):
        run(clip, tmp_path / "out.mkv")
    assert not (tmp_path / "out.mkv").exists()
    ff("-i", clip, "-c", "copy", "-bsf:v", "mpeg4_unpack_bframes", tmp_path / "mended.avi")
    assert run(tmp_path / "mended.avi", tmp_path / "out.mkv").frames == 12
