"""The feature evidence on generated clips."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.gate.context import Contender, Context
from harness.gate.feature import gather
from harness.gate.rules import judge, rules_of
from harness.policy import load_policy, policy_of
from harness.verdict import Outcome
from tests.test_gate_run import write_student


def context_of(tmp_path: Path, incumbent: float, candidate: float) -> Context:
    content = json.loads(json.dumps(load_policy().content))
    content["profiles"]["demo"]["frames"] = 5
    content["feature"]["crf"] = [43]
    policy = policy_of(content)
    (tmp_path / "model" / "tiny").mkdir(parents=True)
    (tmp_path / "model" / "tiny" / "registry.json").write_text('{"schema_version": 1, "models": []}')
    sides = [
        Contender.of(str(write_student(tmp_path / f"{name}.onnx", gain)), tmp_path / "model")
        for name, gain in (("old", incumbent), ("new", candidate))
    ]
    return Context(sides[0], sides[1], policy, policy.profile("demo"), tmp_path / "out", announce=lambda _: None)


def outcomes(context: Context) -> dict[str, Outcome]:
    rules = [rule for rule in rules_of(context.policy, context.profile) if rule.group == "feature"]
    checks = judge(rules, gather(context).measurements, context.policy.statistics.level)
    return {check.key: check.outcome for check in checks}


def test_a_feature_that_follows_brightness_spreads_and_hardly_drifts(tmp_path: Path):
    context = context_of(tmp_path, 1.0, 1.0)
    evidence = gather(context)
    values = {item.key: item.value for item in evidence.measurements}
    assert values["feature.drift_excess"] == 0
    assert values["feature.plcc_incumbent"] == pytest.approx(1)
    assert values["feature.drift"] < 0.05
    assert len(evidence.tables["saliency_mean"]) == 3 * 2
    assert set(evidence.inputs) == {"synth-clips"}


def test_a_constant_feature_fails_by_its_spread(tmp_path: Path):
    assert outcomes(context_of(tmp_path, 1.0, 0.0))["feature.spread"] is Outcome.FAIL
