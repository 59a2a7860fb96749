"""What data can show is foreseen, and a policy that its data cannot decide is refused when it is read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from harness.errors import InputError
from harness.gate.demo import RULES
from harness.gate.judge import judge, refuse_unknown, rules_of
from harness.gate.policy import Policy, load_policy, policy_of
from harness.gate.power import analysis, foresee, spreads_of
from harness.gate.verdict import write_verdict
from harness.stats import items_needed, mean_of, spread_within
from tests.helpers.commands import run
from tests.helpers.gate import POLICY, winning_tables, with_policy

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
    with pytest.raises(InputError, match=r"roi.gain.vmaf=1 cannot be decided"):
        judge(wider, winning_tables(policy=wider))
    refuse_unknown(wider, wider.profile("demo"))  # promotes nothing, and may be as small as it likes


def test_the_demonstrations_own_rules_can_decide_all_that_they_ask_and_promote_nothing() -> None:
    rules = load_policy(RULES)
    demo = rules.profile("demo")
    refuse_unknown(rules, demo)
    found = foresee(rules, rules_of(rules, demo))
    assert len(found) > 8 and all(each.decidable for each in found) and not demo.promotable


def test_an_analysis_takes_spreads_from_a_verdict_and_rules_from_a_policy() -> None:
    """Of ten clips that lie a point apart, by rules that ask for three points; and by rules that ask for one."""
    verdict = judge(POLICY, winning_tables())
    measured = {item.key: item for item in verdict.measurements}["roi.gain.vmaf=1"]
    spread = spreads_of(verdict)["roi.gain.vmaf=1"]
    assert spread == pytest.approx(spread_within(float(measured.low or 0), float(measured.high or 0), 20))
    rows = analysis(verdict).set_index("check")
    own = rows.loc["gain at vmaf=1"]
    assert own["spread"] == pytest.approx(spread) and own["was"] == pytest.approx(measured.value)
    assert int(own["needs"]) == items_needed(9.0, spread)
    strict = with_policy(power={"truth": {**POLICY.content["power"]["truth"], "roi.gain.*": -8.9}})
    assert analysis(verdict, strict).set_index("check").loc["gain at vmaf=1", "needs"] == str(items_needed(0.1, spread))


def test_the_command_shows_it(tmp_path: Path) -> None:
    write_verdict(judge(POLICY, winning_tables()), tmp_path / "verdict.json")
    (tmp_path / "wider.toml").write_text("[roi]\nallowance = 12.0\n")
    done = run("gate", "power", tmp_path / "verdict.json", "--policy", tmp_path / "wider.toml", "--json")
    rows = {row["check"]: row for row in json.loads(done.stdout)["checks"]}
    assert rows["gain at vmaf=3"]["effect to be decided"] == 12.0 and "drift under compression" in rows
