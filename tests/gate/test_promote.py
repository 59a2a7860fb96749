from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from harness.errors import HarnessError, InputError
from harness.gate.groups.feature import PARITY
from harness.gate.judge import rules_of
from harness.gate.policy import load_policy
from harness.gate.promote import begin, in_production, promote, rollback
from harness.gate.rules import checks_of
from harness.gate.verdict import Decision, Measurement, Side, Verdict, write_verdict
from harness.models.registry import entry_for, find_model, register, sidecar_for
from tests.helpers.gate import winning
from tests.helpers.models import write_student

POLICY = load_policy()
RULES = rules_of(POLICY, POLICY.profile("full"))


def student(folder: Path, name: str, gain: float) -> None:
    """Register a student of that gain, new or in place of the one of that name."""
    path = write_student(folder.parent / f"{name}.onnx", gain)
    entry = entry_for(name, path, "A test student.", "One layer.")
    register(entry, sidecar_for(entry, {}), path, folder)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Students a, b and c in a registry, a in production."""
    folder = tmp_path / "model"
    for gain, name in enumerate("abc", start=1):
        student(folder, name, gain)
    first = {"id": "a", "sha256": find_model("a", folder).sha256, "verdict": None, "since": "2026-01-01"}
    content = {"schema_version": 1, "mobilesal": first, "first": first, "history": []}
    (folder / "production.json").write_text(json.dumps(content))
    return folder


def verdict_of(models: Path, incumbent: str, candidate: str, measurements: tuple[Measurement, ...]) -> Verdict:
    def side(name: str) -> Side:
        return Side(name, str(find_model(name, models).sha256), f"{name}.onnx")

    return Verdict(
        extractor="mobilesal",
        profile="full",
        limits=(),
        incumbent=side(incumbent),
        candidate=side(candidate),
        policy={"name": POLICY.name, "sha256": POLICY.sha256, "content": POLICY.content},
        checks=checks_of(RULES, measurements, POLICY.statistics.level),
        measurements=measurements,
        missing={},
        inputs={},
        tables=(),
        code={"commit": "", "digest": "3" * 64},
        versions={},
        commands=(),
    )


def won(models: Path, incumbent: str = "a", candidate: str = "b") -> Verdict:
    return verdict_of(models, incumbent, candidate, tuple(winning(rule) for rule in RULES))


def kept(verdict: Verdict, models: Path) -> Path:
    path = models.parent / "verdict.json"
    write_verdict(verdict, path)
    return path


def test_promotion_moves_the_pointer_and_rollback_moves_it_back(models: Path):
    verdict = won(models)
    assert verdict.decision is Decision.PROMOTE
    pointer = promote("b", kept(verdict, models), models)
    assert (pointer.id, pointer.verdict) == ("b", verdict.digest)
    assert find_model("production", models).name == "b"
    promote("c", kept(won(models, "b", "c"), models), models)
    assert rollback(models).id == "b"
    assert rollback(models).id == "a"
    with pytest.raises(HarnessError, match="nothing to roll back to"):
        rollback(models)
    acts = [entry["act"] for entry in json.loads((models / "production.json").read_text())["history"]]
    assert acts == ["promote", "promote", "rollback", "rollback"]


def test_a_model_can_be_promoted_where_none_was_before(models: Path):
    (models / "production.json").unlink()
    with pytest.raises(InputError, match="no model is in production yet"):
        find_model("production", models)
    assert promote("b", kept(won(models), models), models).id == "b"
    pointer = in_production(models)
    assert pointer is not None and pointer.id == "b"


def refused(models: Path, verdict: Verdict, says: str, model: str = "b") -> None:
    before = (models / "production.json").read_bytes()
    with pytest.raises(HarnessError, match=says):
        promote(model, kept(verdict, models), models)
    assert (models / "production.json").read_bytes() == before


def test_what_is_not_promote_is_refused(models: Path):
    without = tuple(winning(rule) for rule in RULES[1:])
    refused(models, verdict_of(models, "a", "b", without), "says INCONCLUSIVE")


def test_a_limited_or_partial_verdict_is_refused(models: Path):
    refused(models, dataclasses.replace(won(models), limits=("demo",)), "is partial: demo")
    refused(models, dataclasses.replace(won(models), profile="demo"), "is partial: profile demo")
    fewer = won(models)
    refused(models, dataclasses.replace(fewer, checks=fewer.checks[1:]), "does not follow from its own measurements")


def test_a_verdict_without_native_parity_needs_its_reason(models: Path):
    others = tuple(item for item in won(models).measurements if item.key != PARITY)
    rules = rules_of(POLICY, POLICY.profile("full"), {PARITY})
    checks = checks_of(rules, others, POLICY.statistics.level)
    silent = dataclasses.replace(won(models), checks=checks, measurements=others)
    assert silent.decision is Decision.PROMOTE
    refused(models, silent, "does not follow from its own measurements")
    measured = dataclasses.replace(won(models), checks=checks, missing={PARITY: "no native mobilesal here"})
    refused(models, measured, "does not follow from its own measurements")
    told = dataclasses.replace(silent, missing={PARITY: "no native mobilesal here"})
    assert promote("b", kept(told, models), models).id == "b"


def test_a_verdict_that_contradicts_its_measurements_is_refused(models: Path):
    verdict = won(models)
    bad = (dataclasses.replace(verdict.measurements[0], value=0.0), *verdict.measurements[1:])
    refused(models, dataclasses.replace(verdict, measurements=bad), "does not follow from its own measurements")


def test_another_model_or_a_changed_file_is_refused(models: Path):
    refused(models, won(models), "is about b, not c", model="c")
    verdict = won(models)
    write_student(models / "tiny" / "b.onnx", 9.0)
    refused(models, verdict, "b has changed")


def test_another_incumbent_or_policy_is_stale(models: Path, tmp_path: Path):
    refused(models, won(models, "c", "b"), "is stale: it compares with c, in production is a")
    (tmp_path / "mine.toml").write_text("[cost]\ntime_ratio = 3.0\n")
    with pytest.raises(HarnessError, match="is stale: its policy"):
        promote("b", kept(won(models), models), models, load_policy(tmp_path / "mine.toml"))


def test_rollback_refuses_a_model_that_changed_since(models: Path):
    promote("b", kept(won(models), models), models)
    write_student(models / "tiny" / "a.onnx", 9.0)
    with pytest.raises(HarnessError, match="a has changed"):
        rollback(models)


def test_a_pointer_that_its_history_does_not_lead_to_is_refused(models: Path):
    content = json.loads((models / "production.json").read_text())
    content["mobilesal"] = {**content["mobilesal"], "id": "c"}
    (models / "production.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="its history does not lead to c"):
        in_production(models)
    with pytest.raises(InputError, match="its history does not lead to c"):
        find_model("production", models)


def test_begin_names_the_first_and_then_only_a_verdict_changes_it(models: Path) -> None:
    for model in ("a", "b"):
        with pytest.raises(HarnessError, match="a is in production: from here on only a verdict"):
            begin(model, models)
    (models / "production.json").unlink()
    with pytest.raises(InputError, match="unknown model"):
        begin("z", models)
    assert begin("b", models) == in_production(models)


def test_replaced_weights_may_begin_again_under_their_id_until_a_promotion(models: Path) -> None:
    before = (models / "production.json").read_bytes()
    student(models, "a", 7.0)
    with pytest.raises(HarnessError, match="only a verdict"):
        begin("b", models)
    assert (models / "production.json").read_bytes() == before
    begin("a", models)
    assert find_model("production", models).name == "a"
    promote("b", kept(won(models), models), models)
    student(models, "b", 8.0)
    with pytest.raises(HarnessError, match="only a verdict"):
        begin("b", models)
