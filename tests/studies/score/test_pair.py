"""Scoring a pair of clips: in step or refused, strict with the log, the same numbers by every back end."""

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from harness.errors import HarnessError, InputError
from harness.media.ffmpeg import find_ffmpeg
from harness.media.open import open_clip
from harness.media.y4m import write_y4m
from harness.quality.native import VmafProgram, choose
from harness.saliency.feature import extract
from harness.studies.score.pair import ScorePlan, score
from tests.helpers import TINY
from tests.helpers.clips import noisy_clip as clip
from tests.helpers.clips import synthetic, write_video
from tests.helpers.vmaf import ANSWERS, documented_vmaf


def test_one_log_holds_every_metric_of_every_frame(pair_of_clips, tiny, tmp_path):
    seen = []
    result = score(*pair_of_clips, [tiny], progress=lambda done, total: seen.append((done, total)))
    result.write(tmp_path / "log.json")
    log = json.loads((tmp_path / "log.json").read_text())
    assert [frame["frameNum"] for frame in log["frames"]] == list(range(6))
    wanted = {"vmaf", "psnr_y", "psnr_cb", "psnr_cr", "float_ssim", "xpsnr_y", "xpsnr_u", "xpsnr_v", "saliency_mean"}
    assert all(wanted <= frame["metrics"].keys() for frame in log["frames"])
    means = [sample.means[0] for sample in extract(pair_of_clips[1], [tiny])]
    assert [frame["metrics"]["saliency_mean"] for frame in log["frames"]] == [round(mean, 6) for mean in means]
    assert set(log["pooled_metrics"]["saliency_mean"]) == {"min", "max", "mean", "harmonic_mean"}
    made = log["harness"]
    assert made["backend"] == "embedded" and "mobilesal" in made["backend_reason"]
    assert made["saliency_models"] == {"mobilesal_tiny": tiny.sha256}
    assert seen[-1] == (6, 6)
    shown = result._repr_html_()
    assert list(result.maps) == [0, 2, 3, 5] and shown.count("data:image/png") == 4
    assert shown.count("<polyline") == 2 and "<td>xpsnr_y</td>" in shown


def test_psnr_of_the_log_is_psnr(pair_of_clips):
    result = score(*pair_of_clips, [], ScorePlan(metrics=("psnr",)))
    for number, (one, two) in enumerate(zip(*pair_of_clips, strict=True)):
        mse = np.mean((one.y.astype(float) - two.y) ** 2)
        assert result.log.frames[number]["psnr_y"] == pytest.approx(10 * np.log10(255**2 / mse), abs=1e-5)


def test_several_models_get_a_column_each(pair_of_clips, tiny):
    result = score(
        *pair_of_clips, [tiny, replace(tiny, name="other")], ScorePlan(vmaf_models=("vmaf_v0.6.1neg",), metrics=())
    )
    first = result.log.frames[0]
    assert first["saliency_mean@mobilesal_tiny"] == first["saliency_mean@other"]
    assert "vmaf_v0.6.1neg" in first and "vmaf" not in first


def test_offset_frames_and_every_pick_the_same_frames_on_both_sides(tmp_path, tiny):
    reference = clip(tmp_path / "r.y4m", 8)
    late = tmp_path / "late.y4m"
    write_y4m(late, [next(iter(reference)), next(iter(reference)), *reference], Fraction(25))
    plan = ScorePlan(metrics=("psnr",), offset=2, first=1, last=7, every=2)
    result = score(reference, open_clip(late), [tiny], plan)
    assert list(result.log.frames) == [0, 2, 4]
    assert result.log.column("psnr_y").tolist() == [60, 60, 60]
    means = [sample.means[0] for sample in extract(reference, [tiny])]
    assert result.log.column("saliency_mean").tolist() == means[1:7:2]


def test_high_bit_depth_needs_leave_and_is_recorded(tmp_path, tiny):
    deep = clip(tmp_path / "r.y4m", 2, depth=10)
    with pytest.raises(InputError, match="10 bits"):
        score(deep, deep, [tiny], ScorePlan(metrics=()))
    result = score(deep, deep, [tiny], ScorePlan(metrics=(), allow_highbit=True))
    assert result.provenance["highbit_rounded_to_8"] == 10


def test_probe_protocol_of_vmaf_cli_with_a_script_that_answers_as_documented(
    tmp_path, monkeypatch, pair_of_clips, tiny
):
    monkeypatch.setenv("HARNESS_VMAF", str(documented_vmaf(tmp_path, ANSWERS)))
    extractor, reason = choose("auto", find_ffmpeg(), TINY)
    assert isinstance(extractor, VmafProgram) and reason == "vmaf-cli runs mobilesal"
    result = score(*pair_of_clips, [tiny], ScorePlan(metrics=(), backend="vmaf-cli"))
    assert result.log.column("saliency_mean").tolist() == [n / 8 for n in range(6)]
    assert result.provenance["backend"] == "vmaf-cli" and result.provenance["saliency_libvmaf"] == "fork"


@pytest.mark.slow
def test_a_native_extractor_that_does_not_pad_is_passed_over_for_sides_of_no_multiple_of_8(tmp_path, monkeypatch, tiny):
    """The stand-in's means are not the model's, as those of a build without padding are not."""
    monkeypatch.setenv("HARNESS_VMAF", str(documented_vmaf(tmp_path, ANSWERS)))
    odd, even = clip(tmp_path / "odd.y4m", 2, size=(70, 64)), clip(tmp_path / "even.y4m", 2)
    plan = ScorePlan(metrics=())
    assert score(even, even, [tiny], plan).provenance["backend"] == "vmaf-cli"
    made = score(odd, odd, [tiny], plan).provenance
    assert made["backend"] == "embedded" and "vmaf-cli does not pad" in made["backend_reason"]
    with pytest.raises(InputError, match="back end vmaf-cli and 70x64: vmaf-cli does not pad"):
        score(odd, odd, [tiny], replace(plan, backend="vmaf-cli"))


def test_a_stream_cut_short_stops_the_score_and_the_ffmpeg_beside_it(pair_of_clips, tiny, tmp_path):
    class Short:
        info = pair_of_clips[1].info
        demuxer, options = None, ()

        def __iter__(self):
            return iter(list(pair_of_clips[1])[:4])

    with pytest.raises(InputError, match="4 frames decode, its container states 6"):
        score(pair_of_clips[0], Short(), [tiny], ScorePlan(metrics=()))


@pytest.mark.parametrize("damage", ["cut", "overwritten"])
@pytest.mark.parametrize("side", [0, 1])
def test_a_damaged_stream_is_never_scored_by_what_ffmpeg_makes_up(tmp_path, tiny, damage, side):
    whole = write_video(tmp_path / "whole.mp4", 30, options={"movflags": "faststart"})
    content = bytearray(whole.read_bytes())
    middle = len(content) * 6 // 10
    bad = tmp_path / "bad.mp4"
    content[middle : middle + 4000] = bytes(4000)
    bad.write_bytes(content if damage == "overwritten" else content[:middle])
    assert open_clip(bad).info.frames == 30, "only decoding tells"
    clips = [open_clip(whole), open_clip(whole)]
    assert len(score(*clips, [], ScorePlan(metrics=("psnr",))).log.frames) == 30
    clips[side] = open_clip(bad)
    with pytest.raises(
        HarnessError, match=r"bad\.mp4(: FFmpeg failed| is truncated).*(NAL|corrupt|Invalid|breaks off)"
    ) as caught:
        score(*clips, [], ScorePlan(metrics=("psnr",)))
    assert "\n" not in str(caught.value)


def test_models_of_one_name_are_refused_as_one_would_be_lost(pair_of_clips, tiny):
    with pytest.raises(InputError, match="two models named 'mobilesal_tiny'"):
        score(*pair_of_clips, [tiny, replace(tiny, sha256="0" * 64)], ScorePlan(metrics=()))


def test_a_metric_that_fails_stops_the_saliency_beside_it_and_speaks_for_itself(tiny, tmp_path, monkeypatch):
    asked = "os.path.getsize(args[args.index('-d') + 1]) // 6144"
    sleeping = f"import time\nif {asked} > 2: time.sleep(60)\n{ANSWERS}"
    monkeypatch.setenv("HARNESS_VMAF", str(documented_vmaf(tmp_path, sleeping)))
    whole = write_video(tmp_path / "whole.mp4", 30, width=64)
    broken = [tiny, ScorePlan(metrics=(), backend="vmaf-cli")]

    def fails(*args, **kwargs):
        raise HarnessError("FFmpeg failed (exit code 1): as it may")

    monkeypatch.setattr("harness.studies.score.pair.measure", fails)
    with pytest.raises(HarnessError, match=r"FFmpeg failed .*as it may"):
        score(open_clip(whole), open_clip(whole), [broken[0]], broken[1])


def grey_clip(path):
    frames = [replace(synthetic(64, 64, "420", n), u=None, v=None, pix_fmt="gray", chroma="400") for n in range(2)]
    write_y4m(path, frames, Fraction(25))
    return open_clip(path)


@pytest.mark.parametrize(("change", "words"), [({"depth": 10}, "rounds 10 bits to 8"), ({"chroma": "400"}, "no 4:0:0")])
def test_what_the_native_extractors_refuse_goes_to_the_embedded_one(tmp_path, monkeypatch, tiny, change, words):
    monkeypatch.setenv("HARNESS_VMAF", str(documented_vmaf(tmp_path, ANSWERS)))
    odd = clip(tmp_path / "r.y4m", 2, **change) if "depth" in change else grey_clip(tmp_path / "r.y4m")
    plan = ScorePlan(metrics=(), allow_highbit=True)
    with pytest.raises(InputError, match=rf"back end vmaf-cli: .*{words} \(allowed: auto, embedded\)"):
        score(odd, odd, [tiny], replace(plan, backend="vmaf-cli"))
    if "chroma" in change:
        with pytest.raises(InputError, match="4:0:0"):
            score(odd, odd, [tiny], plan)
        return
    made = score(odd, odd, [tiny], plan).provenance
    assert made["backend"] == "embedded" and words in made["backend_reason"]


@pytest.mark.slow
def test_a_log_that_libvmaf_did_not_write_is_told_in_its_words(tmp_path, monkeypatch):
    small = clip(tmp_path / "r.y4m", 2, size=(128, 192))  # less than the v1 models take
    plan = ScorePlan(vmaf_models=("vmaf_v1.0.16_3d0h",), metrics=())
    with pytest.raises(InputError, match=r"128x192 are too small .*256x256 or more\)"):
        score(small, small, [], plan)
    monkeypatch.setattr("harness.studies.score.pair.check_size", lambda *_: None)
    with pytest.raises(HarnessError, match=r"libvmaf wrote no log|FFmpeg failed") as caught:
        score(small, small, [], plan)
    assert "no feature 'cambi" in str(caught.value) and not isinstance(caught.value, InputError)
