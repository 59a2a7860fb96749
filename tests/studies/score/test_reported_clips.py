"""Clips that users of other tools reported, each made small; `docs/inputs.md` says where and what became of them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from harness.errors import InputError
from harness.media.open import open_clip
from harness.media.pairing import Pairing, Survey
from harness.studies.score.hints import shown_apart
from harness.studies.score.pair import Score, ScorePlan, score
from tests.helpers.containers import SHARP, drawn, ff, packed

PSNR = ScorePlan(metrics=("psnr",))


def hints(*pair: Path) -> list[str]:
    return list(score(*pair, [], PSNR).provenance["hints"])


def luma(found: Score) -> list[float]:
    return [float(value) for value in found.log.column("psnr_y")]


@pytest.mark.slow
def test_fields_against_frames_are_said(tmp_path: Path) -> None:
    """Netflix/vmaf#702: an interlaced source against its deinterlaced encode scored 50 to 60, and nobody was told."""
    fields = ["-vf", "interlace", "-flags", "+ildct+ilme", *SHARP]
    combed = drawn(tmp_path / "fields.mp4", *fields, rate=50, frames=12)
    ff("-i", combed, "-vf", "bwdif=0", *SHARP, tmp_path / "frames.mp4")
    assert hints(combed, tmp_path / "frames.mp4")[0].startswith("the reference is interlaced")
    assert hints(combed, combed)[0].startswith("both sides are interlaced")
    assert hints(tmp_path / "frames.mp4", tmp_path / "frames.mp4") == []
    ff("-i", combed, tmp_path / "fields.y4m")
    assert hints(tmp_path / "fields.y4m", combed)[0].startswith("both sides"), "a y4m's header says it too"


@pytest.mark.slow
def test_frames_that_each_side_dropped_elsewhere_are_said(tmp_path: Path) -> None:
    """gdavila/easyVmaf#14: of two variable-rate files with equal counts, frames in between scored 0."""
    for name, lost in (("a", "5,6"), ("b", "8,9")):
        one, other = lost.split(",")
        keep = ["-vf", f"select=not(eq(n\\,{one})+eq(n\\,{other}))", "-fps_mode", "passthrough", *SHARP]
        drawn(tmp_path / f"{name}.mkv", *keep)
    words = "from pair 5 on those of a pair are shown up to 0.080 s apart: a side dropped or repeated frames"
    assert words in hints(tmp_path / "a.mkv", tmp_path / "b.mkv")[0]
    assert hints(tmp_path / "a.mkv", tmp_path / "a.mkv") == []
    assert hints(packed(tmp_path / "p.avi"), tmp_path / "plain.avi") == [], "times out of order are no drop"


def test_rates_that_differ_in_writing_only_are_no_drop(tmp_path: Path) -> None:
    """23.98 against 24000/1001: half a frame apart after two minutes, two frames after eight."""
    clips = [open_clip(drawn(tmp_path / f"{number}.mkv", frames=2)) for number in range(2)]
    rates, count = (Fraction(24000, 1001), Fraction("23.98")), 12_000
    one, two = (
        replace(clip, info=replace(clip.info, frame_rate=rate)) for clip, rate in zip(clips, rates, strict=True)
    )
    seen = [Survey(count, times=[number / float(rate) for number in range(count)]) for rate in rates]
    assert shown_apart(Pairing(one, two, 0, 0, count, seen=(seen[0], seen[1]))) == []
    dropped = [time + (number > 700) / 24 for number, time in enumerate(seen[1].times)]
    assert (
        "from pair 701 on"
        in shown_apart(Pairing(one, two, 0, 0, count, seen=(seen[0], Survey(count, times=dropped))))[0]
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["-pix_fmt", "yuv420p10le"], r"frame 6 is yuv420p10le, its stream begins as yuv420p \(.*-pix_fmt yuv420p"),
        (["-vf", "scale=out_range=pc,format=yuv420p", "-color_range", "pc"], r"frame \d is of range pc, its stream"),
        (["-vf", "scale=80:48"], r"frame 6 is 80x48, the first is 160x96"),
    ],
)
def test_a_stream_that_becomes_another_is_refused_at_its_frame(tmp_path: Path, change: list[str], words: str) -> None:
    """alexheretic/ab-av1#289: "input width must match", of one file: FFmpeg builds its filters anew in mid-stream."""
    parts = drawn(tmp_path / "1.264", *SHARP, frames=6), drawn(tmp_path / "2.264", *change, *SHARP, frames=6)
    joined = tmp_path / "joined.264"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(InputError, match=words):
        score(joined, joined, [], PSNR)


def test_deep_samples_taken_for_bytes_are_refused(tmp_path: Path) -> None:
    """Netflix/vmaf#899: a decoder's raw output of 10 bits scored as 8 bits gave a VMAF of 6."""
    drawn(tmp_path / "deep.yuv", "-f", "rawvideo", "-pix_fmt", "yuv420p10le", frames=4)
    with pytest.raises(InputError, match=r"10 or 12 bits and not the 8 of yuv420p \(allowed: .* yuv420p10le"):
        open_clip(tmp_path / "deep.yuv", (160, 96), "yuv420p")
    assert open_clip(tmp_path / "deep.yuv", (160, 96), "yuv420p10le").info.frames == 4
    drawn(tmp_path / "flat.yuv", "-f", "rawvideo", "-vf", "geq=lum=16:cb=128:cr=128", frames=4)
    assert open_clip(tmp_path / "flat.yuv", (160, 96), "yuv420p").info.frames == 4


@pytest.mark.slow
def test_other_clocks_and_containers_change_nothing(tmp_path: Path) -> None:
    """Netflix/vmaf#587 and #217: an MP4 with B-frames as FLV, or 40 ms late, scored near 0."""
    source = drawn(tmp_path / "a.mp4", *SHARP, "-bf", "3")
    ff("-i", source, "-c", "copy", tmp_path / "a.flv")
    ff("-itsoffset", "0.04", "-i", source, "-c", "copy", "-copyts", tmp_path / "late.mkv")
    for name in ("a.flv", "late.mkv"):
        found = score(source, tmp_path / name, [], PSNR)
        assert luma(found) == [60] * 12 and found.provenance["hints"] == [], name


@pytest.mark.slow
def test_full_chroma_is_compared_as_full_chroma(tmp_path: Path) -> None:
    """fifonik/FFMetrics#200: 4:4:4 of 10 bits was compared as 4:2:0 of 8, which hides what halving chroma costs."""
    full = drawn(tmp_path / "full.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv444p10le", frames=3)
    halved = "format=yuv420p10le,format=yuv444p10le"
    ff("-i", full, "-vf", halved, "-c:v", "ffv1", tmp_path / "halved.mkv")
    log = score(full, tmp_path / "halved.mkv", [], PSNR).log
    assert log.column("psnr_y").tolist() == [72] * 3 and log.column("psnr_cb").max() < 50


@pytest.mark.slow
def test_an_alpha_plane_is_named_and_the_rest_compared_as_it_is(tmp_path: Path) -> None:
    """scikit-video/scikit-video#114: what becomes of yuva444p10le was anybody's guess."""
    plain = drawn(tmp_path / "plain.mkv", "-c:v", "ffv1", frames=3)
    ff("-i", plain, "-vf", "format=yuva420p", "-c:v", "ffv1", tmp_path / "alpha.mkv")
    found = score(plain, tmp_path / "alpha.mkv", [], PSNR)
    assert luma(found) == [60] * 3
    assert found.provenance["hints"] == ["an alpha plane (yuva420p) is not compared, nor what lies behind it"]


def test_columns_beyond_a_multiple_of_16_are_the_pictures_own(tmp_path: Path) -> None:
    """PyAV-Org/PyAV#423: the last six columns of 1294 were noise."""
    ff("-f", "lavfi", "-i", "color=0x808080:size=142x66:duration=0.08", "-c:v", "libx264", tmp_path / "grey.mp4")
    planes = [plane for frame in open_clip(tmp_path / "grey.mp4") for plane in (frame.y, frame.u, frame.v)]
    assert {plane.shape for plane in planes if plane is not None} == {(66, 142), (33, 71)}
    assert max(int(np.ptp(plane)) for plane in planes if plane is not None) <= 1
