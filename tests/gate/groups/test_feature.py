"""The feature group on tables whose numbers are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats as reference

from harness.gate.groups.feature import PARITY
from harness.gate.judge import judge
from harness.gate.policy import Policy
from harness.gate.text import markdown
from harness.gate.verdict import Check, Outcome
from harness.tables import Table
from tests.helpers.gate import POLICY, changed, winning_tables, with_policy

pytestmark = pytest.mark.slow


def check_of(tables: list[Table], key: str, policy: Policy = POLICY) -> Check:
    return next(check for check in judge(policy, tables).checks if check.key == key)


def drifting(rows: pd.DataFrame, model: str, by: float) -> pd.DataFrame:
    """That model's value on every encode is off by a share of the clip's own."""
    own = rows["model"] == model
    clean = rows[own & (rows["version"] == "source")].set_index("clip")["saliency_mean"]
    encodes = own & (rows["version"] != "source")
    rows.loc[encodes, "saliency_mean"] = rows.loc[encodes, "clip"].map(clean) * (1 + by)
    return rows


def test_drift_is_relative_to_the_clip_itself_and_averaged_over_its_encodes() -> None:
    tables = changed(winning_tables(), "score.feature", lambda rows: drifting(drifting(rows, "new", -0.1), "old", 0.04))
    by_difference = with_policy(feature={"drift_rule": "difference", "drift_allowance": 0.02})
    drift, excess = check_of(tables, "feature.drift"), check_of(tables, "feature.drift_excess", by_difference)
    assert drift.value == pytest.approx(0.1) and drift.reason == "the incumbent drifts by 0.040"
    assert excess.value == pytest.approx(0.06) and excess.outcome is Outcome.FAIL


def test_a_constant_feature_fails_by_its_spread() -> None:
    tables = changed(winning_tables(), "score.feature", lambda rows: rows.assign(saliency_mean=0.4))
    assert check_of(tables, "feature.spread").outcome is Outcome.FAIL
    assert check_of(tables, "feature.drift").value == 0


def test_a_clip_that_is_not_in_the_table_makes_it_partial() -> None:
    tables = changed(winning_tables(), "score.feature", lambda rows: rows[rows["clip"] != "libby"])
    found = check_of(tables, "feature.drift")
    assert (found.outcome, found.reason) == (Outcome.INCONCLUSIVE, "partial: 19 of 20 items")


def test_an_encode_that_is_in_the_table_for_neither_model_leaves_the_group_undecided() -> None:
    """The hardest encode would be left out for both, where it would be missed for one."""
    tables = changed(winning_tables(), "score.feature", lambda rows: rows[rows["version"] != "crf 43"])
    found = check_of(tables, "feature.drift")
    assert (found.outcome, found.reason) == (Outcome.INCONCLUSIVE, "the table has no rows of crf 43 for both models")


@pytest.mark.parametrize(("off", "outcome"), [(9e-7, Outcome.PASS), (2e-6, Outcome.FAIL)])
def test_where_a_native_extractor_is_parity_with_it_counts(off: float, outcome: Outcome) -> None:
    tables = changed(winning_tables(), "score.native", lambda rows: rows.assign(max_abs_diff=off))
    parity = check_of(tables, PARITY)
    assert (parity.outcome, parity.value, parity.reason) == (outcome, off, "vmaf-cli on blackswan")


def test_a_native_extractor_that_prints_six_decimals_is_named_as_such() -> None:
    tables = changed(winning_tables(), "score.native", lambda rows: rows.assign(digits="six decimals"))
    assert check_of(tables, PARITY).reason == "vmaf-cli on blackswan; it prints six decimals"


def without_native() -> list[Table]:
    """The tables of a machine that has no native extractor."""
    absent = {"native": None, "reason": "vmaf-cli: no program 'vmaf'"}
    return [
        replace(table, rows=pd.DataFrame(), settings={**table.settings, **absent})
        if table.kind == "score.native"
        else table
        for table in winning_tables()
    ]


def test_without_one_the_verdict_does_without_and_says_so() -> None:
    verdict = judge(POLICY, without_native())
    assert PARITY not in {check.key for check in verdict.checks} and verdict.promotable
    assert verdict.unchecked == {PARITY: "no native mobilesal here (vmaf-cli: no program 'vmaf')"}
    assert f"- not checked, as the policy allows: {PARITY}: no native mobilesal here" in markdown(verdict)


def test_without_one_a_policy_that_requires_parity_is_undecided() -> None:
    policy = with_policy(feature={"parity_required": True})
    found = check_of(without_native(), PARITY, policy)
    assert (found.outcome, found.reason) == (
        Outcome.INCONCLUSIVE,
        "no native mobilesal here (vmaf-cli: no program 'vmaf')",
    )


def test_a_candidate_that_the_native_extractor_refuses_is_not_excused() -> None:
    tables = changed(winning_tables(), "score.native", lambda rows: None)
    assert check_of(tables, PARITY).outcome is Outcome.INCONCLUSIVE


FEW = POLICY.content["profiles"]["full"] | {"clip_names": POLICY.content["profiles"]["full"]["clip_names"][:7]}
WILD = (0.06, 2.2, 0.1, 0.05, 0.4, 1.5, 0.08) * 2 + (0.06, 2.2, 0.1, 0.05, 0.4, 1.5)


def wild(rows: pd.DataFrame) -> pd.DataFrame:
    """An incumbent that drifts by little on some clips and by twice its value on others; a steady candidate."""
    rows = drifting(rows, "new", 0.03)
    own = (rows["model"] == "old") & (rows["version"] != "source")
    clips = list(dict.fromkeys(rows["clip"]))
    clean = rows[(rows["model"] == "old") & (rows["version"] == "source")].set_index("clip")["saliency_mean"]
    by = {clip: WILD[place] for place, clip in enumerate(clips)}
    rows.loc[own, "saliency_mean"] = rows.loc[own, "clip"].map(lambda clip: clean[clip] * (1 + by[clip]))
    return rows


BY_RATIO = with_policy(feature={"drift_rule": "ratio", "drift_ratio": 1.1})


def test_a_wild_incumbent_leaves_the_difference_undecided_but_not_the_ratio() -> None:
    tables = changed(winning_tables(), "score.feature", wild)
    seven = with_policy(feature={"drift_rule": "difference", "drift_allowance": 0.02}, profiles={"full": FEW})
    few = changed(winning_tables(policy=seven), "score.feature", wild)
    assert check_of(few, "feature.drift_excess", seven).outcome is Outcome.INCONCLUSIVE
    found = check_of(tables, "feature.drift_ratio", BY_RATIO)
    assert found.outcome is Outcome.PASS and found.high is not None and found.high < 1.1
    assert "feature.drift_excess" not in {check.key for check in judge(BY_RATIO, tables).checks}


ALIKE = (1.6, 0.5, 1.1, 0.8, 2.2, 0.4, 1.0, 1.3, 0.6, 0.9) * 2


def alike(rows: pd.DataFrame) -> pd.DataFrame:
    """Two models that drift by little, one on some clips and the other on others."""
    rows = drifting(rows, "old", 0.05)
    own = (rows["model"] == "new") & (rows["version"] != "source")
    clips = list(dict.fromkeys(rows["clip"]))
    clean = rows[(rows["model"] == "new") & (rows["version"] == "source")].set_index("clip")["saliency_mean"]
    by = {clip: 0.05 * ALIKE[place] for place, clip in enumerate(clips)}
    rows.loc[own, "saliency_mean"] = rows.loc[own, "clip"].map(lambda clip: clean[clip] * (1 + by[clip]))
    return rows


def test_models_that_drift_alike_leave_the_ratio_undecided_but_not_what_is_beyond_it() -> None:
    tables = changed(winning_tables(), "score.feature", alike)
    assert check_of(tables, "feature.drift_ratio", BY_RATIO).outcome is Outcome.INCONCLUSIVE
    found = check_of(tables, "feature.drift_beyond")
    rest = 0.05 * (np.array(ALIKE) - 1.1)
    reach = reference.t.ppf(0.975, 19) * rest.std(ddof=1) / np.sqrt(20)
    assert found.value == pytest.approx(rest.mean()) and found.high == pytest.approx(rest.mean() + reach)
    assert found.outcome is Outcome.PASS and found.name == "drift beyond 1.1 times the incumbent's"
    wild_too = check_of(changed(winning_tables(), "score.feature", wild), "feature.drift_beyond")
    assert wild_too.outcome is Outcome.PASS


def test_what_drifts_far_beyond_the_incumbent_fails() -> None:
    tables = changed(winning_tables(), "score.feature", lambda rows: drifting(drifting(rows, "new", 0.2), "old", 0.02))
    assert check_of(tables, "feature.drift").outcome is Outcome.PASS
    assert check_of(tables, "feature.drift_beyond").outcome is Outcome.FAIL


def test_the_ratio_is_one_sided_and_fails_a_candidate_that_drifts_more() -> None:
    swapped = changed(
        changed(winning_tables(), "score.feature", wild),
        "score.feature",
        lambda rows: rows.assign(model=rows["model"].map({"old": "new", "new": "old"})),
    )
    assert check_of(swapped, "feature.drift_ratio", BY_RATIO).outcome is Outcome.FAIL
    tables = changed(winning_tables(), "score.feature", wild)
    found = check_of(tables, "feature.drift_ratio", BY_RATIO)
    logs = np.log(0.03 / np.array(WILD))
    reach = reference.t.ppf(0.95, 19) * logs.std(ddof=1) / np.sqrt(20)
    assert found.value == pytest.approx(np.exp(logs.mean())) and found.high == pytest.approx(
        np.exp(logs.mean() + reach)
    )
