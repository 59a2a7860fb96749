"""The gate's accuracy evidence on generated pictures, with maps that are known to be better or worse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from corpora.loader import load_pairs
from harness.gate import run_gate
from harness.gate.groups.accuracy import gains
from harness.gate.policy import Policy, load_policy, policy_of
from harness.gate.verdict import Decision, Outcome, Verdict
from harness.studies.eval.run import ArmResult, evaluate_pairs
from tests.helpers.models import write_student

COUNT = 12
POLICY = load_policy()


@pytest.fixture
def policy() -> Policy:
    """The shipped rules on twelve small pictures."""
    content = json.loads(json.dumps(load_policy().content))
    content["contract"]["sizes"] = [[17, 21]]
    content["cost"]["sizes"] = [[32, 48]]
    few = {**content["profiles"]["full"], "accuracy": ["ecssd"], "pairs": {"ecssd": COUNT}, "rounds": 3}
    content["profiles"] = {"full": few}
    return policy_of(content)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """ECSSD's layout, drawn: a bright disc on a dark gradient, where the mask is the disc."""
    rng = np.random.default_rng(0)
    for folder in ("images", "ground_truth_mask"):
        (tmp_path / "ECSSD" / folder).mkdir(parents=True)
    y, x = np.mgrid[:48, :64]
    for index in range(COUNT):
        inside = np.hypot(y - rng.uniform(16, 32), x - rng.uniform(20, 44)) < rng.uniform(6, 16)
        picture = np.where(inside, 230, 20 + x)[..., None] + rng.integers(0, 20, (48, 64, 3))
        Image.fromarray(picture.astype(np.uint8)).save(tmp_path / "ECSSD" / "images" / f"{index:04}.jpg", quality=95)
        mask = Image.fromarray(inside.astype(np.uint8) * 255)
        mask.save(tmp_path / "ECSSD" / "ground_truth_mask" / f"{index:04}.png")
    return tmp_path / "ECSSD"


@pytest.fixture
def students(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A map that finds the disc, a fainter one, the flipped one, and one that sees nothing."""
    monkeypatch.setenv("HARNESS_MODELS", str(tmp_path / "model"))
    (tmp_path / "model" / "tiny").mkdir(parents=True)
    (tmp_path / "model" / "tiny" / "registry.json").write_text('{"schema_version": 1, "models": []}')
    gains = {"good": 2.0, "fair": 0.05, "flipped": -2.0, "flat": 0.0}
    return {name: str(write_student(tmp_path / f"{name}.onnx", gain)) for name, gain in gains.items()}


def accuracy_of(verdict: Verdict) -> dict[str, Outcome]:
    return {check.key.split(".", 2)[2]: check.outcome for check in verdict.checks if check.group == "accuracy"}


def compare(students: dict[str, str], candidate: str, policy: Policy, root: Path) -> Verdict:
    out = root.parent / f"gate-{candidate}"
    return run_gate(
        students["good"], students[candidate], out, policy=policy, root=root, workers=1, announce=lambda _: None
    )


def test_a_flipped_map_is_held(students: dict[str, str], policy: Policy, pictures: Path):
    verdict = compare(students, "flipped", policy, pictures)
    outcomes = accuracy_of(verdict)
    assert verdict.decision is Decision.HOLD
    assert outcomes["iou_mean@0.5.gain"] is outcomes["plcc_mean.gain"] is outcomes["mae_mean.gain"] is Outcome.FAIL


def test_an_equal_map_is_not_promoted(students: dict[str, str], policy: Policy, pictures: Path):
    verdict = compare(students, "good", policy, pictures)
    outcomes = accuracy_of(verdict)
    assert verdict.decision is Decision.HOLD
    assert outcomes.pop("iou_mean@0.5.gain") is Outcome.FAIL
    assert outcomes["maxf_mean_curve.gain"] is outcomes["mae_mean.gain"] is Outcome.PASS
    assert "candidate and incumbent are the same file" in verdict.limits
    assert verdict.inputs["ecssd"] != verdict.inputs["ecssd rows"]


def evaluated(students: dict[str, str], names: tuple[str, str], root: Path) -> tuple[ArmResult, ArmResult]:
    first, second = (
        evaluate_pairs([students[name]], {"ecssd": load_pairs("ecssd", root)}).results[0] for name in names
    )
    return first, second


def test_gains_agree_with_the_headline_numbers(students: dict[str, str], pictures: Path):
    first, second = evaluated(students, ("good", "fair"), pictures)
    signs = {"iou_mean@0.5": 1, "maxf_mean_curve": 1, "s_measure_mean": 1, "mae_mean": -1}
    there, back = (gains(*pair, list(signs), POLICY) for pair in ((first, second), (second, first)))
    for measure, sign in signs.items():
        gain = there[measure]
        assert gain.value == pytest.approx(sign * (second.headline()[measure] - first.headline()[measure]), abs=1e-9)
        assert gain.low - 1e-6 <= gain.value <= gain.high + 1e-6
        assert back[measure].value == pytest.approx(-gain.value)


def test_a_gain_is_over_the_images_where_both_have_a_value(students: dict[str, str], pictures: Path):
    first, second = evaluated(students, ("good", "good"), pictures)
    second.rows.loc[:2, "plcc"] = np.nan
    gain = gains(first, second, ["plcc_mean"], POLICY)["plcc_mean"]
    assert (gain.value, gain.count) == (0, COUNT - 3)
    flat = evaluated(students, ("good", "flat"), pictures)
    assert gains(*flat, ["plcc_mean"], POLICY)["plcc_mean"].count == 0
