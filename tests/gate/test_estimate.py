"""What a run says of its time before it begins."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.gate.context import Contender, Context
from harness.gate.estimate import START, expected
from harness.gate.policy import policy_of
from harness.models.registry import Registry
from tests.helpers.gate import tiny_policy, two_students
from tests.helpers.models import write_breaking


@pytest.fixture
def context(tmp_path: Path) -> Context:
    registry, policy = Registry.read(two_students(tmp_path)), tiny_policy()
    old, new = (Contender.of(name, registry) for name in ("old", "new"))
    return Context(old, new, policy, policy.profile("demo"), tmp_path / "out", registry=registry, workers=2)


@pytest.mark.slow
def test_more_work_takes_longer_more_processes_less_and_what_is_absent_nothing(
    context: Context, tmp_path: Path
) -> None:
    found = expected(context)
    assert set(found.seconds) == set(context.policy.groups) and found.models.keys() == {"old", "new"}
    assert str(found).startswith("under a minute on 2 processes")
    longer = replace(context, profile=replace(context.profile, frames=3000, whole_clips=True))
    short = expected(longer).seconds["feature"]  # no clip has so many
    assert short == pytest.approx(found.seconds["feature"], rel=0.5)
    content = json.loads(json.dumps(context.policy.content))
    content["feature"]["crf"] = list(range(52))
    more = replace(context, policy=policy_of(content))
    each = [expected(replace(more, workers=workers)).seconds["feature"] - START for workers in (1, 16)]
    assert each[0] > 4 * each[1] and each[0] > 4 * (found.seconds["feature"] - START)
    content = json.loads(json.dumps(context.policy.content))
    content["profiles"]["demo"] |= {"accuracy": ["ecssd"], "pairs": {"ecssd": 1000}, "clips": "davis-2016"}
    elsewhere = policy_of(content)
    without = replace(context, policy=elsewhere, profile=elsewhere.profile("demo"), root=tmp_path, looked_up={})
    assert {name for name, taken in expected(without).seconds.items() if not taken} == {"accuracy", "feature", "roi"}


def test_a_candidate_that_does_not_run_is_no_reason_to_stop(context: Context, tmp_path: Path) -> None:
    broken = Contender.of(str(write_breaking(tmp_path / "bad.onnx", "half")), context.registry)
    assert expected(replace(context, candidate=broken)).models["bad"] == 0.0
