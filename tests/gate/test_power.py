"""What data can show is foreseen, and a policy that its data cannot decide is refused when it is read."""

from __future__ import annotations

import json

import numpy as np
import pytest

from harness.errors import InputError
from harness.gate.judge import judge, refuse_unknown, rules_of
from harness.gate.policy import Policy, policy_of
from harness.gate.power import foresee
from harness.stats import mean_of
from tests.helpers.gate import POLICY, winning_tables

FULL = POLICY.profile("full")


def changed_policy(**power: object) -> Policy:
    content = json.loads(json.dumps(POLICY.content))
    content["power"] |= power
    return policy_of(content)


def test_the_shipped_policy_can_decide_all_that_it_asks() -> None:
    found = foresee(POLICY, rules_of(POLICY, FULL))
    assert len(found) > 15 and all(each.decidable for each in found)
    groups = {each.rule.group for each in found}
    assert {"accuracy", "feature", "roi"} <= groups
    again = policy_of(json.loads(json.dumps(POLICY.content, sort_keys=True)))
    assert {str(each) for each in foresee(again, rules_of(again, FULL))} == {str(each) for each in found}


def test_the_smallest_effect_is_shown_as_often_as_it_says() -> None:
    each = next(each for each in foresee(POLICY, rules_of(POLICY, FULL)) if each.rule.key == "roi.gain.vmaf=1")
    rng = np.random.default_rng(0)
    draws = rng.normal(each.smallest, each.spread, (400, each.items))
    shown = [mean_of(draw, POLICY.statistics).low > 0 for draw in draws]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.06)


def test_what_cannot_be_decided_is_refused_by_name_with_what_it_needs() -> None:
    content = json.loads(json.dumps(POLICY.content))
    content["accuracy"]["size_sets"] = ["ecssd"]
    says = (
        r"accuracy.ecssd.iou_large_mean@0.5.gain cannot be decided at 80% power: .*56 images .*needs about 1\d\d images"
    )
    with pytest.raises(InputError, match=says):
        refuse_unknown(policy_of(content), FULL)
    wider = changed_policy(spread=POLICY.content["power"]["spread"] | {"roi.gain.*": 20.0})
    with pytest.raises(InputError, match=r"roi.gain.vmaf=0 cannot be decided"):
        judge(wider, winning_tables(policy=wider))
    refuse_unknown(wider, wider.profile("demo"))  # promotes nothing, and may be as small as it likes
