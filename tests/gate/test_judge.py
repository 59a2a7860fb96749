"""A verdict from tables alone: no model, no picture, no file but the tables' own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness import metrics
from harness.errors import InputError
from harness.gate.evidence import keep_tables, read_tables
from harness.gate.groups import accuracy
from harness.gate.judge import judge
from harness.gate.policy import Policy, policy_of
from harness.gate.verdict import Check, Decision, Outcome
from harness.metrics import Metric
from harness.tables import Code, Table
from tests.helpers.gate import NEW, OLD, POLICY, changed, pair_of, winning_tables, with_policy

pytestmark = pytest.mark.slow


def check_of(policy: Policy, tables: list[Table], key: str) -> Check:
    return next(check for check in judge(policy, tables).checks if check.key == key)


def test_a_candidate_that_wins_everything_is_promoted() -> None:
    verdict = judge(POLICY, winning_tables())
    assert [(check.name, check.reason) for check in verdict.checks if check.outcome is not Outcome.PASS] == []
    assert verdict.decision is Decision.PROMOTE and verdict.promotable


def test_read_back_from_their_files_the_tables_give_the_same_verdict(tmp_path: Path) -> None:
    tables = winning_tables()
    written = keep_tables(tables, tmp_path)
    assert judge(POLICY, written).text() == judge(POLICY, read_tables(tmp_path)).text()
    assert {table.name for table in read_tables(tmp_path)} == {table.name for table in tables}


def test_the_order_of_tables_and_what_nobody_asked_for_change_nothing() -> None:
    tables = winning_tables()
    stray = replace(tables[1], kind="other.kind", name="stray")
    assert judge(POLICY, [stray, *reversed(tables)]).text() == judge(POLICY, tables).text()


def test_a_table_that_is_not_there_is_inconclusive_with_a_reason() -> None:
    for kind, key in (
        ("eval.paired", "accuracy.ecssd.iou_mean@0.5.gain"),
        ("roi.at_cost_points", "roi.gain.vmaf=1"),
        ("score.feature", "feature.drift"),
        ("score.native", "feature.parity"),
        ("cost.memory", "cost.memory_ratio"),
        ("models.facts", "contract.graph"),
    ):
        verdict = judge(POLICY, changed(winning_tables(), kind, lambda rows: None))
        missing = next(check for check in verdict.checks if check.key == key)
        assert missing.outcome is Outcome.INCONCLUSIVE and missing.reason.startswith(f"no table of {kind}")
        assert verdict.decision is Decision.INCONCLUSIVE


def test_without_a_pair_or_with_two_there_is_nothing_to_judge() -> None:
    tables = winning_tables()
    for given in (tables[1:], [*tables, tables[0]]):
        with pytest.raises(InputError, match=r"tables of kind gate\.pair \(allowed: one"):
            judge(POLICY, given)


def test_tables_of_other_weights_decide_nothing() -> None:
    tables = winning_tables(pair_of(new=replace(NEW, sha256="c" * 64)))
    found = check_of(POLICY, [winning_tables()[0], *tables[1:]], "roi.gain.vmaf=1")
    assert found.outcome is Outcome.INCONCLUSIVE and "is not about these weights of new" in found.reason


def test_tables_that_were_made_otherwise_than_the_policy_asks_decide_nothing() -> None:
    fewer = with_policy(statistics={"resamples": 2000})
    found = check_of(fewer, winning_tables(), "accuracy.ecssd.mae_mean.gain")
    assert found.outcome is Outcome.INCONCLUSIVE and "was made with statistics" in found.reason
    other = check_of(with_policy(roi={"law": "past:0.3"}), winning_tables(), "roi.gain.vmaf=1")
    assert other.reason == "no encodes of old by libx264 under the law past:0.3"
    finer = check_of(with_policy(roi={"crf": [20, 24, 28, 32]}), winning_tables(), "roi.gain.vmaf=1")
    assert "was made with crfs [22, 27, 32, 37] (the policy asks for [20, 24, 28, 32])" in finer.reason


def test_a_table_without_its_columns_is_a_reason_and_no_traceback() -> None:
    tables = changed(winning_tables(), "eval.paired", lambda rows: rows.drop(columns="defined"))
    found = check_of(POLICY, tables, "accuracy.ecssd.mae_mean.gain")
    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.reason == "a table does not hold what it should: KeyError 'defined'"


def test_two_tables_of_one_thing_decide_nothing() -> None:
    tables = winning_tables()
    twice = next(table for table in tables if table.kind == "eval.paired" and "ecssd" in table.data)
    found = check_of(POLICY, [*tables, twice], "accuracy.ecssd.mae_mean.gain")
    assert found.outcome is Outcome.INCONCLUSIVE and found.reason == "2 tables of eval.paired on ecssd (allowed: one)"


def test_versions_are_those_of_the_rows_and_mixed_ones_promote_nothing() -> None:
    code = Code("m", "c" * 64, "", {"onnxruntime": "1.0"})
    tables = winning_tables(code=code)
    assert judge(POLICY, tables).versions == {"onnxruntime": "1.0"}
    newer = replace(code, versions={"onnxruntime": "2.0"})
    mixed = judge(POLICY, [*tables[:-1], replace(tables[-1], code=newer)])
    assert mixed.versions == {"onnxruntime": "1.0, 2.0"} and not mixed.promotable
    assert mixed.limits == ("the tables were measured with different versions of onnxruntime: 1.0, 2.0",)


def paired_row(measure: str, before: float, after: float) -> dict[str, object]:
    """A row of paired differences over the images of ECSSD."""
    change = after - before
    row = {"split": "ecssd", "working_size": "native", "distortion": "none", "model": NEW.id, "against": OLD.id}
    row |= {"measure": measure, "images": 1000, "defined": 1000, "difference": change, "low": change - 0.01}
    return row | {"high": change + 0.01, "p_value": 2e-4, "win_rate": 0.9}


def with_row(tables: list[Table], row: dict[str, object]) -> list[Table]:
    """The tables with that row in place of the one of its measure on ECSSD."""

    def replaced(rows: pd.DataFrame) -> pd.DataFrame:
        if "ecssd" not in set(rows["split"]):
            return rows
        return pd.concat([rows[rows["measure"] != row["measure"]], pd.DataFrame([row])])

    return changed(tables, "eval.paired", replaced)


BER = "ber_mean@0.5"


@pytest.mark.parametrize(("after", "outcome"), [(0.062, Outcome.PASS), (0.232, Outcome.FAIL)])
def test_a_new_measure_of_which_less_is_better_has_the_right_sign(
    after: float, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Balanced error rate, added as the docs say: its keys and direction stand on the metric, and nowhere else."""
    monkeypatch.setitem(metrics.METRICS, BER, Metric(BER, higher_is_better=False, per_image="ber@0.5"))
    policy = with_policy(accuracy={"primary": BER})
    tables = with_row(winning_tables(policy=policy), paired_row(BER, 0.147, after))
    found = check_of(policy, tables, f"accuracy.ecssd.{BER}.gain")
    assert found.primary and found.outcome is outcome
    assert found.value == pytest.approx(0.147 - after)
    assert found.low == pytest.approx(0.147 - after - 0.01) and found.high == pytest.approx(0.147 - after + 0.01)


def test_a_policy_that_names_a_measure_without_a_direction_is_refused() -> None:
    with pytest.raises(InputError, match="policy: accuracy: iou_best_threshold has no better or worse"):
        judge(with_policy(accuracy={"primary": "iou_best_threshold"}), winning_tables())


@pytest.mark.parametrize(
    ("undefined", "outcome", "reason"),
    [
        (10, Outcome.PASS, "clears the threshold"),
        (11, Outcome.INCONCLUSIVE, "undefined on 11 of 1000 items (the policy allows 0.01 of them)"),
        (1000, Outcome.INCONCLUSIVE, "defined for both on 0 of 1000 images: needs 2 or more"),
    ],
)
def test_a_map_that_is_flat_where_it_would_lose_is_not_judged_on_the_rest(
    undefined: int, outcome: Outcome, reason: str
) -> None:
    row = paired_row("plcc_mean", 0.5, 0.6) | {"defined": 1000 - undefined}
    if undefined == 1000:
        row |= {"difference": np.nan, "low": np.nan, "high": np.nan, "p_value": np.nan}
    tables = with_row(winning_tables(), row)
    found = check_of(POLICY, tables, "accuracy.ecssd.plcc_mean.gain")
    assert (found.outcome, found.reason) == (outcome, reason)


def test_completeness_counts_the_images_measured_not_those_with_a_value() -> None:
    """All of them for a size class too, of which most images are none."""
    tables = changed(winning_tables(), "eval.paired", lambda rows: rows.assign(defined=rows["defined"] // 10))
    small = "accuracy.duts-te.iou_small_mean@0.5.gain"
    assert check_of(POLICY, tables, small).outcome is Outcome.PASS
    fewer = changed(winning_tables(), "eval.paired", lambda rows: rows.assign(images=rows["images"] - 1))
    found = check_of(POLICY, fewer, small)
    assert (found.outcome, found.reason) == (Outcome.INCONCLUSIVE, "partial: 5018 of 5019 items")


def test_the_margin_of_the_primary_measure_needs_a_p_value_against_it() -> None:
    policy = with_policy(accuracy={"primary_margin": 0.01})
    assert accuracy.wanted(pair_of().question(policy))[0].settings["nulls"] == {"iou_mean@0.5": 0.01}
    found = check_of(policy, winning_tables(), "accuracy.ecssd.iou_mean@0.5.gain")
    assert found.outcome is Outcome.INCONCLUSIVE and "was made with nulls {}" in found.reason
    assert judge(policy, winning_tables(policy=policy)).decision is Decision.PROMOTE


def test_candidates_by_path_the_same_file_and_the_demo_promote_nothing() -> None:
    by_path = judge(POLICY, winning_tables(pair_of(registered=False)))
    same = judge(POLICY, winning_tables(pair_of(new=replace(NEW, sha256=OLD.sha256))))
    demo = judge(POLICY, winning_tables(pair_of(profile="demo")))
    for verdict, says in ((by_path, "given as a path"), (same, "are the same file"), (demo, "can promote nothing")):
        assert verdict.decision is not Decision.HOLD and not verdict.promotable
        assert any(says in limit for limit in verdict.limits)


FLICKER = '''"""How much the map flickers."""
from harness.gate.groups.base import Reading, Wanted, exactly
from harness.gate.rules import Kind, Rule

NAME = "flicker"


def check(policy, profile):
    pass


def rules(policy, profile):
    return [Rule(NAME, "flicker", "flicker.mean", Kind.AT_MOST, policy.content[NAME]["within"])]


def wanted(question):
    return [Wanted("score.flicker", models=(question.new,))]


def read(question, tables):
    (want,) = wanted(question)
    return Reading((exactly("flicker.mean", tables.find(want).rows["flicker"].mean()),))
'''


def test_a_new_group_is_one_file_and_its_section_of_the_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.gate import groups

    (tmp_path / "flicker.py").write_text(FLICKER)
    monkeypatch.setattr(groups, "__path__", [*groups.__path__, str(tmp_path)])
    content = json.loads(json.dumps(POLICY.content))
    content["groups"].append("flicker")
    content["flicker"] = {"within": 0.1}
    table = Table("score.flicker", "flicker", "Flicker", pd.DataFrame({"flicker": [0.2]}), "c", {NEW.id: NEW.sha256})
    found = check_of(policy_of(content), [*winning_tables(), table], "flicker.mean")
    assert (found.outcome, found.threshold) == (Outcome.FAIL, 0.1)


def test_a_group_that_does_not_exist_is_refused() -> None:
    content = json.loads(json.dumps(POLICY.content))
    content["groups"].append("flicker")
    content["flicker"] = {}
    with pytest.raises(InputError, match=r"unknown group 'flicker' \(allowed: accuracy, contract"):
        judge(policy_of(content), winning_tables())


def test_a_pair_of_another_format_is_one_line_and_no_traceback() -> None:
    older = changed(winning_tables(), "gate.pair", lambda rows: rows.drop(columns="smoke"))
    with pytest.raises(InputError, match=r"table pair does not say who is compared \(KeyError 'smoke'; gate again\)"):
        judge(POLICY, older)
