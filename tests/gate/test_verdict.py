from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.gate.judge import rules_of
from harness.gate.policy import load_policy
from harness.gate.power import foresee
from harness.gate.rules import checks_of
from harness.gate.text import markdown
from harness.gate.verdict import (
    Decision,
    Measurement,
    Side,
    Verdict,
    read_verdict,
    write_verdict,
)


@pytest.fixture
def verdict() -> Verdict:
    """Two facts and one difference measured, the rest missing."""
    policy = load_policy()
    measurements = (
        Measurement("contract.graph", 1.0, note="opset 17"),
        Measurement("accuracy.ecssd.iou_mean@0.5.gain", 1 / 3, 0.3, 0.4, 1e-4, 0.0, 1000),
        Measurement("cost.time_ratio.640x360", 3.0, 2.9, 3.1, count=15),
    )
    missing = {"roi": "no clips at hand"}
    rules = rules_of(policy, policy.profile("full"))
    return Verdict(
        extractor="mobilesal",
        profile="full",
        limits=("no clips",),
        incumbent=Side("a", "0" * 64, "a.onnx"),
        candidate=Side("b", "1" * 64, "b.onnx"),
        policy={"name": policy.name, "sha256": policy.sha256, "content": policy.content},
        checks=checks_of(rules, measurements, policy.statistics.level, missing),
        measurements=measurements,
        missing=missing,
        inputs={"ecssd": "2" * 64},
        tables=(),
        code={"commit": "", "digest": "3" * 64},
        versions={"numpy": "2"},
        commands=("harness gate --incumbent a --candidate b",),
        created="2026-01-01T00:00:00+00:00",
        machine={"cores": 2},
    )


def test_a_verdict_survives_its_file(verdict: Verdict, tmp_path: Path):
    write_verdict(verdict, tmp_path / "v.json")
    again = read_verdict(tmp_path / "v.json")
    assert again.text() == verdict.text()
    assert again.decision is Decision.HOLD
    assert not again.promotable


def test_time_and_machine_do_not_change_the_digest(verdict: Verdict):
    later = dataclasses.replace(verdict, created="2027-01-01T00:00:00+00:00", machine={"cores": 64})
    assert later.digest == verdict.digest
    other = dataclasses.replace(verdict, inputs={"ecssd": "4" * 64})
    assert other.digest != verdict.digest


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("measurements", 1, "value"), 0.9),
        (("checks", 0, "outcome"), "FAIL"),
        (("candidate", "sha256"), "5" * 64),
        (("verdict",), "PROMOTE"),
        (("limits",), []),
    ],
)
def test_a_changed_verdict_is_refused(verdict: Verdict, tmp_path: Path, path: tuple, value: object):
    write_verdict(verdict, tmp_path / "v.json")
    content = json.loads((tmp_path / "v.json").read_text())
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (tmp_path / "v.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="was changed after it was written"):
        read_verdict(tmp_path / "v.json")


def test_what_is_no_verdict_is_named(verdict: Verdict, tmp_path: Path):
    (tmp_path / "v.json").write_text(json.dumps({"verdict": "PROMOTE"}))
    with pytest.raises(InputError, match="is not a verdict"):
        read_verdict(tmp_path / "v.json")
    with pytest.raises(InputError, match="cannot read"):
        read_verdict(tmp_path / "absent.json")


def test_markdown_holds_every_check_with_its_reason(verdict: Verdict):
    text, policy = markdown(verdict), load_policy()
    foreseen = foresee(policy, rules_of(policy, policy.profile("full")))
    assert text.startswith("# HOLD: b against a")
    assert "no clips at hand" in text
    assert sum(line.startswith("| ") for line in text.splitlines()) == len(verdict.checks) + len(foreseen) + 4
    assert verdict.digest in text
