"""Rows of a verdict measured again: true ones hold, and one that was invented is found, whatever its digests say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from harness.errors import HarnessError, InputError
from harness.gate.evidence import keep_tables, read_tables
from harness.gate.judge import judge
from harness.gate.recheck import Rechecked, recheck, refuse_differing, rounding_said, table_of
from harness.gate.run import run_gate
from harness.gate.verdict import write_verdict
from harness.models.registry import entry_for
from tests.helpers.commands import run
from tests.helpers.gate import tiny_policy, two_students
from tests.helpers.models import write_student

KINDS = ("models.facts", "eval.images", "eval.paired", "score.feature", "roi.at_cost_points", "roi.at_cost_by_clip")


POLICY = tiny_policy(budgets=["psnr_y=3"], primary=["psnr_y=3"], allowance=3.0)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder, and beside it what a run of the gate leaves."""
    root = tmp_path_factory.mktemp("recheck")
    models = two_students(root)
    run_gate(
        "old", "new", root / "out", profile="demo", policy=POLICY, models=models, workers=1,
        announce=lambda line: None,
    )  # fmt: skip
    return root


@pytest.fixture
def verdict(measured: Path, tmp_path: Path) -> Path:
    """A verdict of one's own to spoil."""
    shutil.copytree(measured / "out", tmp_path / "out", ignore=shutil.ignore_patterns("jobs"))
    return tmp_path / "out" / "verdict.json"


@pytest.mark.slow
def test_what_was_measured_is_measured_again_to_the_digit(measured: Path, verdict: Path) -> None:
    found = recheck(verdict, 2, models=measured / "model", seed=3)
    assert [one.problem for one in found] == [None] * len(found)
    summary = table_of(found).set_index("kind")
    assert set(summary.index) == set(KINDS) and (summary["rechecked"] > 0).all() and not summary["differ"].any()
    assert not summary["rounded"].any() and (summary["first"] == "").all()
    refuse_differing(found, verdict)


def flattered(column: str, where: Callable[[pd.DataFrame], pd.Series], by: float) -> Callable[[pd.DataFrame], None]:
    def change(rows: pd.DataFrame) -> None:
        rows.loc[where(rows), column] += by

    return change


SPOILT = {
    "a picture": ("eval.images", flattered("mae", lambda rows: rows["model"] == "new", -0.01)),
    "a mean": ("eval.paired", flattered("difference", lambda rows: rows["measure"] == "mae_mean", -0.01)),
    "bounds": ("eval.paired", flattered("low", lambda rows: rows["measure"] == "iou_mean@0.5", 0.5)),
    "a p-value": ("eval.paired", lambda rows: rows.__setitem__("p_value", 0.9)),
    "a count": ("eval.paired", lambda rows: rows.__setitem__("images", 5019)),
    "a fact": ("models.facts", lambda rows: rows.__setitem__("held", "no")),
    "a clip": ("score.feature", flattered("saliency_mean", lambda rows: rows["model"] == "new", 0.001)),
    "an encode": ("roi.at_cost_points", flattered("vmaf", lambda rows: rows["arm"] == "new", 0.5)),
    "a gain": ("roi.at_cost_by_clip", flattered("gain_%", lambda rows: rows["arm"] == "new", 1.0)),
}


def nudged(verdict: Path, kind: str, change: Callable[[pd.DataFrame], None]) -> None:
    """A table of the verdict's evidence changed, and judged anew."""
    evidence = verdict.parent / "evidence"
    tables = []
    for table in read_tables(evidence):
        if table.kind == kind:
            rows = table.rows.copy()
            change(rows)
            table = replace(table, rows=rows)
        tables.append(table)
    write_verdict(judge(POLICY, keep_tables(tables, evidence)), verdict)


@pytest.mark.slow
@pytest.mark.parametrize("what", SPOILT)
def test_a_table_that_was_invented_and_judged_anew_does_not_survive(measured: Path, verdict: Path, what: str) -> None:
    kind, change = SPOILT[what]
    nudged(verdict, kind, change)
    found = recheck(verdict, 4, models=measured / "model", seed=0)
    assert kind in {one.kind for one in found if one.problem}
    with pytest.raises(
        HarnessError, match=r"rows differ when measured again \(first: .* in the table and .* measured again"
    ):
        refuse_differing(found, verdict)


@pytest.mark.slow
def test_a_few_rows_may_differ_as_another_processor_makes_them_and_not_all(measured: Path, verdict: Path) -> None:
    def one(rows: pd.DataFrame) -> None:
        rows.loc[rows.index[0], "mae"] += 1e-4

    def every(rows: pd.DataFrame) -> None:
        rows["mae"] -= 1e-4

    def pictures() -> list[Rechecked]:
        again = recheck(verdict, 99, models=measured / "model", seed=0)
        return [row for row in again if row.kind == "eval.images"]

    nudged(verdict, "eval.images", one)
    found = pictures()
    (summary,) = table_of(found).to_dict("records")
    assert (summary["rounded"], summary["differ"]) == (1, 0) and "in the table and" in summary["first"]
    refuse_differing(found, verdict)
    assert rounding_said(found) == ", 1 of them but for rounding, as on another kind of processor"
    nudged(verdict, "eval.images", every)
    with pytest.raises(HarnessError, match=r"mae is .* in the table"):
        refuse_differing(pictures(), verdict)


@pytest.mark.slow
def test_rows_that_stand_twice_or_are_gone_are_found(measured: Path, verdict: Path) -> None:
    evidence = verdict.parent / "evidence"
    tables = {table.kind: table for table in read_tables(evidence)}
    clips, pictures = tables["score.feature"], tables["eval.images"]
    rows = clips.rows[~((clips.rows["model"] == "new") & (clips.rows["version"] != "source"))]
    keep_tables([replace(clips, rows=rows)], evidence)
    write_verdict(judge(POLICY, read_tables(evidence)), verdict)
    found = recheck(verdict, 1, models=measured / "model", seed=0)
    assert {one.problem for one in found if one.kind == "score.feature"} == {None, "is not in the table"}
    twice = pd.concat([pictures.rows, pictures.rows[pictures.rows["model"] == "new"]])
    keep_tables([replace(pictures, rows=twice)], evidence)
    with pytest.raises(InputError, match="4 rows stand twice"):
        recheck(verdict, 1, models=measured / "model", seed=0)


@pytest.mark.slow
def test_evidence_of_another_verdict_or_other_weights_is_refused(measured: Path, verdict: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 rows to measure again"):
        recheck(verdict, 0)
    other = tmp_path / "model"
    shutil.copytree(measured / "model", other)
    path = write_student(tmp_path / "new.onnx", 3.0)
    content = json.loads((other / "tiny" / "registry.json").read_text())
    for entry in content["models"]:
        if entry["id"] == "new":
            entry["sha256"] = entry_for("new", path, "", "").get("sha256")
    (other / "tiny" / "registry.json").write_text(json.dumps(content))
    shutil.copy(path, other / "tiny" / "new.onnx")
    with pytest.raises(InputError, match="new here has sha256"):
        recheck(verdict, 1, models=other)
    tables = read_tables(verdict.parent / "evidence")
    keep_tables([replace(tables[0], title="another")], verdict.parent / "evidence")
    with pytest.raises(InputError, match="is not what it was decided on"):
        recheck(verdict, 1, models=measured / "model")


def test_the_commands_take_it() -> None:
    assert "--count" in run("gate", "recheck", "--help").output
    assert "--recheck" in run("registry", "promote", "--help").output
