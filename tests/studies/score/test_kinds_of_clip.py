"""Kinds of clip that were scored wrong in silence, or refused: the VMAF of each, as held against other tools."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import InputError
from harness.media.open import open_clip
from harness.media.pairing import pair
from harness.studies.score.pair import ScorePlan, score
from tests.helpers.containers import ff
from tests.helpers.processor import AVX512


@dataclass(frozen=True)
class Film:
    """A folder with `src.mkv`, 40 frames without loss, and `ref.mp4`, made of it with groups of ten and B-frames.

    `real` where the frames are DAVIS's, of which VMAF is known from other tools; else they are drawn.
    """

    folder: Path
    real: bool

    def __truediv__(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Film:
    """The frames of the cases page where they are at hand: drawn ones move and turn as well, and give other numbers."""
    made = tmp_path_factory.mktemp("film")
    shared = Path(os.environ.get("HARNESS_SHARED", Path(__file__).parents[4] / "shared"))
    frames = shared / "corpora" / "DAVIS-2016" / "JPEGImages" / "480p" / "blackswan"
    scaled = ["-frames:v", "40", "-vf", "scale=480:272,format=yuv420p", "-c:v", "ffv1"]
    drawn = ["-f", "lavfi", "-i", "testsrc2=size=480x272:rate=25"]
    ff(*(["-framerate", "25", "-i", frames / "%05d.jpg"] if frames.is_dir() else drawn), *scaled, made / "src.mkv")
    sound = ["-f", "lavfi", "-i", "sine=440:r=48000:d=1.6", "-map", "0:v", "-map", "1:a", "-c:a", "aac"]
    ff("-i", made / "src.mkv", *sound, "-c:v", "libx264", "-crf", "12", "-bf", "2", "-g", "10", made / "ref.mp4")
    return Film(made, frames.is_dir())


def vmaf(reference: Path, distorted: Path) -> tuple[int, float]:
    log = score(reference, distorted, [], ScorePlan(metrics=())).log
    return len(log.frames), round(float(log.column("vmaf").mean()), 2)


def near(film: Film, right: float, plain: float) -> object:
    """What VMAF must be: as other tools gave it for the real film, as of a `plain` pair of the same pictures else.

    x264 encodes otherwise without AVX-512: there the real film's is near what they gave.
    """
    assert not film.real or plain == pytest.approx(right, abs=0.5)
    return pytest.approx(right if film.real and AVX512 else plain, abs=0.02)


@pytest.mark.slow
def test_all_frames_of_a_fragmented_mp4_are_scored(film, tmp_path):
    fragmented = ["-movflags", "frag_keyframe"]
    ff("-i", film / "ref.mp4", "-c", "copy", *fragmented, tmp_path / "a.mp4")
    ff("-i", film / "ref.mp4", "-crf", "32", "-g", "10", "-an", *fragmented, tmp_path / "b.mp4")
    assert open_clip(tmp_path / "a.mp4").info.frames == 10, "only the first fragment's are stated"
    ff("-i", tmp_path / "b.mp4", "-c", "copy", tmp_path / "whole.mp4")
    right = near(film, 79.41, vmaf(film / "ref.mp4", tmp_path / "whole.mp4")[1])
    assert vmaf(tmp_path / "a.mp4", tmp_path / "b.mp4") == (40, right)


@pytest.mark.slow
def test_a_cut_within_a_group_pairs_the_frames_that_are_shown(film, tmp_path):
    ff("-ss", "0.5", "-i", film / "ref.mp4", "-c", "copy", tmp_path / "cut.mp4")
    ff("-i", tmp_path / "cut.mp4", "-crf", "32", "-an", tmp_path / "d.mp4")
    assert open_clip(tmp_path / "cut.mp4").info.frames == 30, "three of them are not shown"
    ff("-i", tmp_path / "cut.mp4", "-c:v", "ffv1", "-an", tmp_path / "shown.mkv")
    right = near(film, 78.43, vmaf(tmp_path / "shown.mkv", tmp_path / "d.mp4")[1])
    assert vmaf(tmp_path / "cut.mp4", tmp_path / "d.mp4") == (27, right)


@pytest.mark.slow
@pytest.mark.parametrize(("turn", "right"), [(180, 77.07), (90, 77.89)])
def test_a_turned_clip_and_its_upright_encode_are_compared_as_they_are_shown(film, tmp_path, turn, right):
    ff("-display_rotation", str(turn), "-i", film / "ref.mp4", "-c", "copy", tmp_path / "r.mp4")
    ff("-i", tmp_path / "r.mp4", "-crf", "32", "-an", tmp_path / "d.mp4")
    ff("-i", tmp_path / "r.mp4", "-c:v", "ffv1", "-an", tmp_path / "upright.mkv")
    plain = vmaf(tmp_path / "upright.mkv", tmp_path / "d.mp4")[1]
    assert vmaf(tmp_path / "r.mp4", tmp_path / "d.mp4") == (40, near(film, right, plain))


@pytest.mark.slow
def test_frames_dropped_from_an_avi_are_not_counted(film, tmp_path):
    """An AVI keeps an empty packet for each frame that was dropped."""
    dropped = ["-vf", "select=not(between(n\\,5\\,9))", "-fps_mode", "passthrough", "-c:v", "mpeg4", "-q:v", "2"]
    ff("-i", film / "src.mkv", *dropped, tmp_path / "gaps.avi")
    decoded = len(list(open_clip(tmp_path / "gaps.avi")))
    assert decoded == 35 < (open_clip(tmp_path / "gaps.avi").info.frames or 40)
    assert vmaf(tmp_path / "gaps.avi", tmp_path / "gaps.avi")[0] == 35


@pytest.mark.slow
def test_a_mirrored_clip_is_refused_with_the_way_out(film, tmp_path):
    ff("-display_hflip", "-i", film / "ref.mp4", "-c", "copy", tmp_path / "m.mp4")
    with pytest.raises(InputError, match=r"mirrored .*\(make it upright first: ffmpeg -i m\.mp4 -c:v ffv1 OUT\.mkv\)"):
        vmaf(tmp_path / "m.mp4", tmp_path / "m.mp4")


@pytest.mark.slow
def test_xpsnr_above_8_bits_is_left_out_where_rows_are_padded_and_at_its_cap_from_y4m(film, tmp_path):
    ff("-i", film / "src.mkv", "-frames:v", "4", "-pix_fmt", "yuv420p10le", "-c:v", "ffv1", tmp_path / "s10.mkv")
    ff("-i", tmp_path / "s10.mkv", "-strict", "-1", tmp_path / "s10.y4m")
    plan = ScorePlan(metrics=("psnr", "xpsnr"))
    padded, packed = (score(path, path, [], plan) for path in (tmp_path / "s10.mkv", tmp_path / "s10.y4m"))
    assert "xpsnr_y" not in padded.log.metrics and "10 bits" in padded.provenance["left_out"]["xpsnr"]
    assert packed.log.column("xpsnr_y").tolist() == [60] * 4 and not packed.provenance["left_out"]


def test_a_harmonic_mean_that_does_not_exist_is_null_and_the_log_is_written(film, tmp_path):
    """One half white, one half black, against its negative: XPSNR is negative."""
    half = ["-f", "lavfi", "-i", "color=black:size=480x272:rate=25:duration=0.16,drawbox=w=240:color=white:t=fill"]
    ff(*half, "-c:v", "ffv1", "-pix_fmt", "yuv420p", tmp_path / "a.mkv")
    ff("-i", tmp_path / "a.mkv", "-vf", "negate", "-c:v", "ffv1", tmp_path / "b.mkv")
    found = score(tmp_path / "a.mkv", tmp_path / "b.mkv", [], ScorePlan(metrics=("xpsnr",)))
    found.write(tmp_path / "log.json")
    assert found.log.column("xpsnr_y").min() < -1
    assert json.loads((tmp_path / "log.json").read_text())["pooled_metrics"]["xpsnr_y"]["harmonic_mean"] is None
    assert "<td>–</td>" in found._repr_html_()


def test_pictures_too_small_for_libvmaf_are_refused_with_a_size_that_it_takes(tmp_path):
    ff("-f", "lavfi", "-i", "testsrc2=size=16x16:rate=25:duration=0.2", "-pix_fmt", "yuv420p", tmp_path / "s.y4m")
    with pytest.raises(InputError, match=r"clips of 16x16 are too small .*\(allowed: 24x24 or more\)"):
        vmaf(tmp_path / "s.y4m", tmp_path / "s.y4m")


@pytest.mark.parametrize("layout", ["gbrp", "yuv411p", "bgr0"])
def test_samples_of_no_planar_yuv_are_refused_with_the_way_out(layout, tmp_path):
    made = tmp_path / "s.mkv"
    ff("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=0.2", "-c:v", "ffv1", "-pix_fmt", layout, made)
    with pytest.raises(InputError, match=r"\(\w+\); compared is planar YUV .*format=yuv444p"):
        vmaf(made, made)


@pytest.mark.slow
def test_colours_of_other_meaning_are_refused_and_hdr_by_an_sdr_model_is_said(film, tmp_path):
    for name, curve in (("pq", "smpte2084"), ("hlg", "arib-std-b67"), ("sdr", "bt709")):
        tags = ["-color_trc", curve, "-colorspace", "bt2020nc", "-color_primaries", "bt2020"]
        params = f"setparams=color_trc={curve}:colorspace=bt2020nc:color_primaries=bt2020"
        ff("-i", film / "src.mkv", "-frames:v", "2", "-vf", params, *tags, "-c:v", "ffv1", tmp_path / f"{name}.mkv")
    with pytest.raises(InputError, match="colour transfer smpte2084 against bt709"):
        vmaf(tmp_path / "pq.mkv", tmp_path / "sdr.mkv")
    notes = {
        name: score(tmp_path / f"{name}.mkv", tmp_path / f"{name}.mkv", [], ScorePlan(metrics=())).provenance["hints"]
        for name in ("pq", "hlg", "sdr")
    }
    assert "PQ clips scored by an SDR model" in notes["pq"][0] and "HLG" in notes["hlg"][0] and not notes["sdr"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["-vf", "scale=240:136"], r"size 480x272 against 240x136 \(--scale"),
        (["-pix_fmt", "yuv420p10le"], r"yuv420p against yuv420p10le \(--depth"),
        (["-vf", "fps=50"], r"25 fps against 50 fps \(.*fps=25"),
    ],
)
def test_daily_pairs_that_do_not_match_are_refused_with_the_way_out(film, tmp_path, change, words):
    ff("-i", film / "src.mkv", "-frames:v", "4", *change, "-c:v", "ffv1", tmp_path / "d.mkv")
    with pytest.raises(InputError, match=words):
        vmaf(film / "src.mkv", tmp_path / "d.mkv")


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["bicubic", "lanczos"])
def test_a_smaller_encode_is_scaled_to_the_reference_alike_for_vmaf_and_for_saliency(film, tmp_path, kernel):
    ff("-i", film / "src.mkv", "-frames:v", "6", "-vf", "scale=240:136", "-c:v", "ffv1", tmp_path / "d.mkv")
    up = ["-vf", f"scale=480:272:flags={kernel}", "-c:v", "ffv1", tmp_path / "up.mkv"]
    ff("-i", tmp_path / "d.mkv", *up)
    ff("-i", film / "src.mkv", "-frames:v", "6", "-c", "copy", tmp_path / "r.mkv")
    plan = ScorePlan(metrics=("psnr",), scale=kernel)
    found = score(tmp_path / "r.mkv", tmp_path / "d.mkv", [], plan).log
    by_hand = score(tmp_path / "r.mkv", tmp_path / "up.mkv", [], ScorePlan(metrics=("psnr",))).log
    assert found.frames == by_hand.frames
    ours = pair(open_clip(tmp_path / "r.mkv"), open_clip(tmp_path / "d.mkv"), scale=kernel).distorted_frames()
    for one, two in zip(ours, open_clip(tmp_path / "up.mkv"), strict=True):
        assert np.abs(one.y.astype(int) - two.y).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("depth", [8, 10])
def test_an_encode_of_more_bits_is_compared_at_one_depth(film, tmp_path, depth):
    """The same picture: 8 bits, and the same 8 bits with two zeros."""
    ff("-i", film / "src.mkv", "-frames:v", "3", "-c", "copy", tmp_path / "r.mkv")
    ff("-i", tmp_path / "r.mkv", "-vf", "setparams=range=tv,format=yuv420p10le", "-c:v", "ffv1", tmp_path / "d.mkv")
    log = score(tmp_path / "r.mkv", tmp_path / "d.mkv", [], ScorePlan(metrics=("psnr",), depth=depth)).log
    assert log.column("psnr_y").tolist() == [60 if depth == 8 else 72] * 3


@pytest.mark.slow
def test_a_shift_is_found_and_a_shifted_or_turned_pair_is_hinted_at(film, tmp_path):
    ff("-i", film / "src.mkv", "-vf", "trim=start_frame=3,setpts=PTS-STARTPTS", "-c:v", "ffv1", tmp_path / "late.mkv")
    ff("-i", film / "src.mkv", "-vf", "vflip", "-c:v", "ffv1", tmp_path / "flipped.mkv")
    plan = ScorePlan(metrics=("psnr",))
    found = score(film / "src.mkv", tmp_path / "late.mkv", [], replace(plan, sync=5))
    assert found.log.column("psnr_y").tolist() == [60] * 37
    assert found.provenance["first_frame"] == {"reference": 3, "distorted": 0} and not found.provenance["hints"]
    shifted = score(film / "src.mkv", tmp_path / "late.mkv", [], replace(plan, shortest=True))
    assert shifted.provenance["hints"] == ["frames look shifted by -3 (--offset-frames -3, or --sync 5)"]
    turned = score(film / "src.mkv", tmp_path / "flipped.mkv", [], plan)
    assert turned.provenance["hints"] == ["the distorted side looks upside down"]
