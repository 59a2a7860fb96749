"""Strength and CRF by probes: what is sampled, what a strength costs, what is found, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import HarnessError, InconclusiveError, InputError
from harness.media.open import Clip, open_clip
from harness.media.y4m import write_y4m
from harness.models.sources import CentrePrior
from harness.models.working_size import NATIVE
from harness.roi.encoders import Settings, find_encoder
from harness.roi.laws import MAP
from harness.roi.offsets import Share, Shots, Strength
from harness.studies.roi import shots as shots_module
from harness.studies.roi.auto import Target, Tuned, enclosing, find_crf, tune, usual_crf
from harness.studies.roi.budgets import COSTS, Budget, Point, at_budget
from harness.studies.roi.encode import Steering, parse_knob, roi_encode
from harness.studies.roi.probes import Probed, cost_of
from harness.studies.roi.samples import Samples, runs_of
from harness.studies.roi.shots import LEAST, asked_alone, shots_of
from tests.helpers.clips import write_clip

FASTEST = Settings(preset="ultrafast")


def soft_clip(path: Path, frames: int = 10) -> Clip:
    """A drifting picture of waves and some noise, whose VMAF falls with every CRF."""
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[:128, :192]

    def drawn() -> Any:
        for frame in open_clip(write_clip(path.with_suffix(".mkv"), (192, 128), frames)):
            waves = 110 + 50 * np.sin((columns + 2 * frame.index) / 7) * np.cos(rows / 9)
            luma = np.clip(waves + rng.normal(0, 9, waves.shape), 16, 235).astype(np.uint8)
            yield replace(frame, y=luma, u=np.full_like(frame.u, 128), v=np.full_like(frame.v, 128))

    write_y4m(path, drawn(), Fraction(25))
    return open_clip(path)


def tuned(clip: Clip, settings: Settings = FASTEST, encoder: str = "libx264", **asked: Any) -> Tuned:
    how: dict[str, Any] = {"working": NATIVE, "weight": 1.0, "law": MAP, "progress": lambda stage, done: None}
    how |= {"budget": None, "target": None} | asked
    return tune(clip, CentrePrior(), find_encoder(encoder), settings, **how)


def test_runs_are_spread_and_never_overlap() -> None:
    for frames in (1, 36, 37, 38, 100, 4000):
        runs = runs_of(frames)
        numbers = [number for run in runs for number in run]
        assert numbers == sorted(set(numbers)) and len(numbers) == min(frames, 36) and numbers[-1] < frames


def test_samples_are_the_clips_own_frames_with_their_numbers(tmp_path: Path) -> None:
    clip = open_clip(write_clip(tmp_path / "clip.mkv", frames=50))
    samples = Samples.of(clip, tmp_path / "samples.y4m")
    assert samples.count == 36 and samples.info.frames == 36
    whole = list(clip)
    for place, frame in enumerate(samples):
        assert np.array_equal(frame.y, whole[frame.index].y) and frame.time == pytest.approx(place / 25)


def test_a_clip_that_ends_before_it_says_is_counted(tmp_path: Path) -> None:
    clip = open_clip(write_clip(tmp_path / "clip.mkv", frames=40))
    for stated in (5000, None):
        samples = Samples.of(replace(clip, info=replace(clip.info, frames=stated)), tmp_path / "samples.y4m")
        assert [frame.index for frame in samples] == [number for run in runs_of(40) for number in run]


def test_a_cost_is_by_plain_encodes_of_the_same_vmaf() -> None:
    here, finer, coarser = Probed(1000, 90), Probed(2000, 95), Probed(500, 84)
    assert cost_of(here, here, finer) == pytest.approx(0)
    assert cost_of(Probed(1010, 90), here, coarser) == pytest.approx(1)
    assert cost_of(finer, here, finer) == cost_of(coarser, here, coarser) == pytest.approx(0)
    assert cost_of(Probed(1000, 84), here, coarser) == pytest.approx(100)
    with pytest.raises(InconclusiveError, match=r"hardly .* 90.00 at 1000 bytes and 90.40 .*a coarser --crf"):
        cost_of(here, here, Probed(2000, 90.4))
    with pytest.raises(InconclusiveError, match="hardly"):
        cost_of(here, here, Probed(900, 92))


@pytest.mark.parametrize(("per_qp", "strengths"), [(0.02, 4), (0.1, 2), (0.3, 2), (1, 2), (3, 3)])
def test_few_strengths_enclose_a_budget(per_qp: float, strengths: int) -> None:
    def at(strength: float) -> Point:
        return Point(strength, dict.fromkeys(COSTS, np.inf) | {"vmaf": per_qp * strength**1.5}, np.nan)

    points = enclosing(at, Budget())
    met = at_budget(points, Budget())
    assert len(points) == strengths
    assert met.bound if per_qp < 0.025 else met.strength == pytest.approx(per_qp ** (-1 / 1.5), rel=0.15)


@pytest.mark.parametrize(("encoder", "step"), [("libx264", 0.5), ("libvpx-vp9", 1.0)])
@pytest.mark.parametrize("target", [60.3, 77.2, 93.0, 99.9])
def test_the_coarsest_crf_that_has_the_target_is_found_by_few_encodes(encoder: str, step: float, target: float) -> None:
    asked = []

    def vmaf(crf: float) -> float:
        asked.append(crf)
        return 100 / (1 + np.exp((crf - 42) / 6))

    found = find_crf(vmaf, Target("vmaf", target), 23.0, find_encoder(encoder))
    near = 0 <= vmaf(found) - target <= 0.1
    assert found % step == 0 and vmaf(found) >= target and (near or vmaf(found + step) < target)
    assert len(set(asked)) <= 10 and len(asked) - 3 <= len(set(asked))


@pytest.mark.parametrize("vmaf", [30.0, 99.0])
def test_a_target_that_no_crf_has_is_refused(vmaf: float) -> None:
    with pytest.raises(InputError, match=r"vmaf=93 with libx264: CRF \d+ has"):
        find_crf(lambda crf: vmaf, Target(), 23.0, find_encoder("libx264"))


@pytest.mark.parametrize(
    ("encoder", "crf"),
    [("libx264", 23), ("libx265", 28), ("libvpx", 20), ("libvpx-vp9", 36), ("libkvazaar", 27), ("SvtAv1EncApp", 35)],
)
def test_the_encoders_own_crf_is_known(encoder: str, crf: float) -> None:
    assert usual_crf(find_encoder(encoder), Settings()) == crf
    assert usual_crf(find_encoder(encoder), Settings(crf=30.5)) == 30.5


def test_a_target_and_a_budget_are_met_on_the_samples(tmp_path: Path) -> None:
    clip, out = soft_clip(tmp_path / "clip.y4m"), tmp_path / "out.mkv"
    heard: set[str] = set()
    found = roi_encode(
        clip, CentrePrior(), out, settings=FASTEST, steering=Steering(NATIVE, law=MAP, budget=Budget("vmaf", 3)),
        target=Target("vmaf", 80), progress=lambda stage, done: heard.add(stage),
    )  # fmt: skip
    tuned = found.tuned
    assert tuned and tuned.strength and tuned.paid is not None
    assert 80 <= tuned.vmaf < 82 and tuned.crf * 2 % 1 == 0 and (tuned.target, tuned.budget) == ("vmaf=80", "vmaf=3")
    assert found.knob == f"strength:{tuned.strength:g}" and found.law == "map"
    assert tuned.bound or tuned.paid == pytest.approx(3, abs=0.01)
    assert tuned.frames == 10 and tuned.encodes >= 5 and tuned.seconds > 0 and tuned.share
    assert {"sample", "probe", "encode plain", "encode with the map"} <= heard
    # what was found is what the whole is encoded with
    again = roi_encode(
        clip, CentrePrior(), tmp_path / "again.mkv", settings=replace(FASTEST, crf=tuned.crf),
        steering=Steering(NATIVE, Strength(tuned.strength), law=MAP),
    )  # fmt: skip
    assert again.proof == found.proof and again.tuned is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.mkv", "clip.mkv", "clip.y4m", "out.mkv"]


@pytest.mark.slow
def test_long_shots_have_a_strength_each_and_short_ones_the_weakest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two long shots, of which one moves and one is all but still, and a short one between them."""
    monkeypatch.setattr(shots_module, "WORTH", 1)  # as if the clip were as long as it takes
    source, rng = soft_clip(tmp_path / "waves.y4m", 2 * LEAST + 6), np.random.default_rng(4)
    still = rng.integers(150, 190, (128, 192)).astype(np.uint8)

    def drawn() -> Any:
        for frame in source:
            place = frame.index - LEAST
            yield frame if place < 0 else replace(frame, y=frame.y // 4 if place < 6 else still + frame.y // 9)

    write_y4m(tmp_path / "clip.y4m", drawn(), Fraction(25))
    clip = open_clip(tmp_path / "clip.y4m")
    shots = [range(LEAST), range(LEAST, LEAST + 6), range(LEAST + 6, 2 * LEAST + 6)]
    assert shots_of(clip) == shots and asked_alone(shots) == [shots[0], shots[2]]
    found = roi_encode(
        clip, CentrePrior(), tmp_path / "out.mkv", settings=replace(FASTEST, crf=30),
        steering=Steering(NATIVE, law=MAP, budget=Budget("vmaf", 2)),
    )  # fmt: skip
    assert found.tuned
    first, short, last = found.tuned.shots
    assert [shot.first for shot in found.tuned.shots] == [shot.start for shot in shots]
    assert short.paid is None and short.strength == min(first.strength, last.strength)
    assert first.strength != last.strength and found.tuned.frames == 72
    strengths = found.knob.removeprefix("strength:")
    assert parse_knob(strengths) == (found.tuned.knob, None)
    assert found.tuned.strength == pytest.approx(
        sum(shot.strength * shot.frames for shot in found.tuned.shots) / (2 * LEAST + 6), abs=0.01
    )


def test_strengths_of_shots_are_read_and_refused() -> None:
    asked, _ = parse_knob("0:3.5,120:1")
    assert isinstance(asked, Shots) and [asked.at(frame).qp for frame in (0, 119, 120, 999)] == [3.5, 3.5, 1, 1]
    for text in ("1:3", "0:3,0:2", "0:3,9:0", "0:x", "0:3,", "0:1:2"):
        with pytest.raises(InputError, match="allowed"):
            parse_knob(text)


def test_a_larger_budget_buys_a_strength_that_is_not_weaker(tmp_path: Path) -> None:
    clip = soft_clip(tmp_path / "clip.y4m", 8)
    small, large = (tuned(clip, budget=Budget("vmaf", percent)) for percent in (1, 10))
    assert small.strength and large.strength and small.strength <= large.strength
    assert small.crf == large.crf == 23 and small.target is None


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["libx265", "libvpx-vp9", "libkvazaar"])
def test_other_encoders_have_a_target_too(encoder: str, tmp_path: Path) -> None:
    settings = Settings(preset=None if encoder == "libvpx-vp9" else "ultrafast")
    found = tuned(soft_clip(tmp_path / "clip.y4m", 8), settings, encoder, target=Target("vmaf", 80))
    assert 80 <= found.vmaf < 86 and found.strength is None


@pytest.mark.parametrize(
    ("settings", "asked", "says"),
    [
        (Settings(bitrate=500), {"budget": Budget()}, "--strength auto beside --bitrate"),
        (Settings(bitrate=500), {"target": Target()}, "--target beside --bitrate"),
        (Settings(crf=20), {"target": Target()}, r"--target vmaf=93 beside --crf 20 \(allowed: one"),
        (Settings(), {"budget": Budget("xpsnr_y", 1)}, r"budget xpsnr_y=1 \(allowed with --strength auto: vmaf=PER"),
        (Settings(), {"budget": Budget("vmaf", 0)}, "budget vmaf=0"),
    ],
)
def test_what_cannot_be_sought_is_refused_before_any_encode(
    settings: Settings, asked: dict[str, Any], says: str, tmp_path: Path
) -> None:
    clip, out = write_clip(tmp_path / "clip.y4m", frames=2), tmp_path / "out.mkv"
    steering = Steering(budget=asked.get("budget"))
    with pytest.raises(InputError, match=says):
        roi_encode(clip, CentrePrior(), out, settings=settings, steering=steering, target=asked.get("target"))
    assert [path.name for path in tmp_path.iterdir()] == ["clip.y4m"]


def test_pictures_too_small_for_vmaf_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="too small for libvmaf"):
        tuned(open_clip(write_clip(tmp_path / "clip.y4m", (16, 16), frames=2)), target=Target())


@pytest.mark.parametrize("text", ["93", "psnr=40", "vmaf=0", "vmaf=101", "vmaf=x", "vmaf=nan"])
def test_bad_targets_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="allowed: vmaf=NUMBER"):
        Target.parse(text)


def test_knobs_that_exclude_each_other_are_refused() -> None:
    assert parse_knob("auto", "vmaf=2%") == (Strength(4), Budget("vmaf", 2))
    assert parse_knob("4", None, "0.25:0.4") == (Share(0.25, 0.4), None)
    for words, says in (
        (("auto", None, "0.25:0.4"), "beside --share"),
        (("4", "vmaf=1", None), "--budget vmaf=1 without"),
        (("some", None, None), "strength 'some'"),
        (("0", None, None), "strength 0"),
    ):
        with pytest.raises(InputError, match=says):
            parse_knob(*words)
    with pytest.raises(InputError, match="with a budget"):
        Steering(knob=Share(0.25, 0.4), budget=Budget())
