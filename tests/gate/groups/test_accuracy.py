"""The accuracy group on drawn pictures, with maps that are known to be better or worse, from pixels to checks."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness import metrics
from harness.gate.policy import Policy, policy_of
from harness.gate.run import judge_folders, run_gate
from harness.gate.verdict import Decision, Outcome, Verdict
from harness.jobs import provenance
from harness.metrics import Sample
from harness.tables import read_table
from tests.helpers.commands import run
from tests.helpers.gate import POLICY
from tests.helpers.models import write_student

COUNT = 40


def policy(**accuracy: Any) -> Policy:
    """The shipped rules of this group alone, on forty small pictures."""
    content = json.loads(json.dumps(POLICY.content))
    content["groups"] = ["accuracy"]
    del content["power"]
    content["accuracy"] |= accuracy
    content["profiles"] = {"full": {**content["profiles"]["full"], "accuracy": ["ecssd"], "pairs": {"ecssd": COUNT}}}
    return policy_of(content)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ECSSD's layout, drawn: a bright disc on a dark gradient, where the mask is the disc."""
    rng, root = np.random.default_rng(0), tmp_path_factory.mktemp("drawn") / "ECSSD"
    for folder in ("images", "ground_truth_mask"):
        (root / folder).mkdir(parents=True)
    y, x = np.mgrid[:24, :32]
    for index in range(COUNT):
        inside = np.hypot(y - rng.uniform(8, 16), x - rng.uniform(10, 22)) < rng.uniform(3, 8)
        picture = np.where(inside, 230, 20 + x)[..., None] + rng.integers(0, 20, (24, 32, 3))
        Image.fromarray(picture.astype(np.uint8)).save(root / "images" / f"{index:04}.jpg", quality=95)
        Image.fromarray(inside.astype(np.uint8) * 255).save(root / "ground_truth_mask" / f"{index:04}.png")
    return root


@pytest.fixture
def students(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """A map that finds the disc, a fainter one, the flipped one, and one that sees nothing."""
    monkeypatch.setenv("HARNESS_MODELS", str(tmp_path / "model"))
    (tmp_path / "model" / "tiny").mkdir(parents=True)
    (tmp_path / "model" / "tiny" / "registry.json").write_text('{"schema_version": 1, "models": []}')
    gains = {"good": 2.0, "fair": 0.05, "flipped": -2.0, "flat": 0.0}
    return {name: str(write_student(tmp_path / f"{name}.onnx", gain)) for name, gain in gains.items()}


def gate(
    students: Mapping[str, str], names: tuple[str, str], root: Path, out: Path, rules: Policy | None = None
) -> Verdict:
    old, new = (students[name] for name in names)
    return run_gate(old, new, out, policy=rules or policy(), root=root, workers=1, announce=lambda _: None)


def outcomes(verdict: Verdict) -> dict[str, Outcome]:
    return {check.key.removeprefix("accuracy.ecssd.").removesuffix(".gain"): check.outcome for check in verdict.checks}


@pytest.mark.slow
def test_the_better_map_wins_and_the_flipped_one_is_held(
    students: Mapping[str, str], pictures: Path, tmp_path: Path
) -> None:
    better = outcomes(gate(students, ("flipped", "good"), pictures, tmp_path / "better"))
    assert better["iou_mean@0.5"] is better["mae_mean"] is better["plcc_mean"] is Outcome.PASS
    worse = gate(students, ("good", "flipped"), pictures, tmp_path / "worse")
    assert worse.decision is Decision.HOLD
    found = outcomes(worse)
    assert found["iou_mean@0.5"] is found["plcc_mean"] is found["mae_mean"] is Outcome.FAIL


@pytest.mark.slow
def test_an_equal_map_is_not_promoted(students: Mapping[str, str], pictures: Path, tmp_path: Path) -> None:
    verdict = gate(students, ("good", "good"), pictures, tmp_path / "out")
    found = outcomes(verdict)
    assert verdict.decision is Decision.HOLD
    assert found.pop("iou_mean@0.5") is Outcome.FAIL
    assert found["maxf_mean_curve"] is found["mae_mean"] is Outcome.PASS
    assert "candidate and incumbent are the same file" in verdict.limits


@pytest.mark.slow
def test_a_map_that_is_flat_everywhere_has_no_gain_in_correlation(
    students: Mapping[str, str], pictures: Path, tmp_path: Path
) -> None:
    verdict = gate(students, ("good", "flat"), pictures, tmp_path / "out")
    plcc = next(check for check in verdict.checks if "plcc_mean" in check.key)
    assert plcc.outcome is Outcome.INCONCLUSIVE
    assert plcc.reason == f"defined for both on 0 of {COUNT} images: needs 2 or more"


@pytest.mark.slow
def test_the_command_that_a_verdict_names_repeats_its_numbers_to_the_last_digit(
    students: Mapping[str, str], pictures: Path, tmp_path: Path
) -> None:
    verdict = gate(students, ("fair", "good"), pictures, tmp_path / "out")
    (line,) = (command for command in verdict.commands if command.startswith("harness eval"))
    assert run(*shlex.split(line)[1:]).exit_code == 0
    rows = read_table(tmp_path / "out" / "repeat" / "ecssd" / "paired.csv").rows.set_index("measure")
    assert verdict.measurements
    for item in verdict.measurements:
        row = rows.loc[item.key.removeprefix("accuracy.ecssd.").removesuffix(".gain")]
        ends = sorted(abs(float(row[name])) for name in ("difference", "low", "high"))
        assert ends == sorted(abs(number) for number in (item.value, item.low or 0, item.high or 0))
        assert (item.p_value, item.count, item.items) == (row["p_value"], row["defined"], row["images"])


@pytest.mark.slow
def test_its_tables_give_the_same_verdict_again_without_pictures_or_models(
    students: Mapping[str, str], pictures: Path, tmp_path: Path
) -> None:
    verdict = gate(students, ("fair", "good"), pictures, tmp_path / "out")
    for path in students.values():
        Path(path).unlink()
    again = judge_folders([tmp_path / "out" / "evidence"], policy=policy())
    assert again.digest == verdict.digest
    assert replace(again, created=verdict.created).text() == verdict.text()


@pytest.mark.slow
def test_published_tables_can_be_judged(students: Mapping[str, str], pictures: Path, tmp_path: Path) -> None:
    """What `harness eval` wrote for three models at once, judged for two of them."""
    words = [word for name in ("flat", "fair", "good") for word in ("--model", students[name])]
    done = run("eval", "--corpus", "ecssd", "--root", str(pictures), *words, "--out", str(tmp_path / "published"))
    assert done.exit_code == 0, done.output
    judged = judge_folders(
        [tmp_path / "published"], policy=policy(), candidate=students["good"], incumbent=students["fair"]
    )
    measured = gate(students, ("fair", "good"), pictures, tmp_path / "out")
    assert judged.measurements == measured.measurements and judged.decision is measured.decision


@pytest.mark.slow
def test_a_rerun_after_a_library_upgrade_measures_again(
    students: Mapping[str, str], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the verdict's versions are those of its rows, never of the process that prints them."""
    first = gate(students, ("fair", "good"), pictures, tmp_path / "out")
    now = provenance.library_versions()
    packages = {**provenance._packages(), "onnxruntime": "99.0"}
    monkeypatch.setattr(provenance, "_packages", lambda: packages)
    for kept in (provenance._versions_with, provenance._made_by):  # looked up once a second
        kept.cache_clear()
    again = judge_folders([tmp_path / "out" / "evidence"], policy=policy())
    assert again.versions == first.versions and again.versions["onnxruntime"] == now["onnxruntime"]
    read: list[Sample] = []
    reading = metrics.reading
    monkeypatch.setattr(metrics, "reading", lambda sample: read.append(sample) or reading(sample))
    later = gate(students, ("fair", "good"), pictures, tmp_path / "out")
    assert later.versions["onnxruntime"] == "99.0" and len(read) == 2 * COUNT
    gate(students, ("fair", "good"), pictures, tmp_path / "out")
    assert len(read) == 2 * COUNT
    for kept in (provenance._versions_with, provenance._made_by):
        kept.cache_clear()


@pytest.mark.slow
def test_a_margin_is_tested_where_the_rule_has_it(students: Mapping[str, str], pictures: Path, tmp_path: Path) -> None:
    verdict = gate(students, ("fair", "good"), pictures, tmp_path / "out", policy(primary_margin=0.5))
    primary = next(item for item in verdict.measurements if "iou_mean@0.5" in item.key)
    assert primary.null == 0.5
    assert not [command for command in verdict.commands if command.startswith("harness eval")]  # it tests against 0


@pytest.mark.slow
def test_three_pictures_linked_under_many_names_promote_nothing_and_are_named(
    students: Mapping[str, str], tmp_path: Path
) -> None:
    """Masks made of the candidate's own maps: it wins, by a set that is none."""
    root = tmp_path / "fake" / "ECSSD"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(1)
    for number in range(COUNT):
        image, mask = root / "images" / f"{number:04}.png", root / "masks" / f"{number:04}.png"
        if number < 3:
            picture = rng.integers(0, 256, (64, 64, 3), np.uint8)
            Image.fromarray(picture).save(image)
            Image.fromarray((picture.mean(axis=2) > 127).astype(np.uint8) * 255).save(mask)
        else:
            image.hardlink_to(root / "images" / f"{number % 3:04}.png")
            mask.hardlink_to(root / "masks" / f"{number % 3:04}.png")
    verdict = gate(students, ("flipped", "good"), root, tmp_path / "out")
    assert outcomes(verdict)["iou_mean@0.5"] is Outcome.PASS and not verdict.promotable
    assert "ecssd: no known edition of the set, and only pinned data can promote" in verdict.limits
    assert f"ecssd: {COUNT - 3} of {COUNT} pictures are links, or one file under several names" in verdict.limits
    assert f"ecssd: {COUNT - 3} of {COUNT} pictures are equal to another one" in verdict.limits
    again = judge_folders([tmp_path / "out" / "evidence"], policy=policy())
    assert again.digest == verdict.digest
