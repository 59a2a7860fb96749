"""The verdict as one self-contained HTML page: checks, curves, rows to sort, pictures to look at, provenance."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError
from harness.files import write_text
from harness.gate.diff import flat
from harness.gate.evidence import first_other, tables_in
from harness.gate.policy import load_policy, policy_of
from harness.gate.power import SECTION, spreads_of
from harness.gate.text import interval, rule_text, shown, summary
from harness.gate.verdict import Check, Verdict
from harness.pages.charts import Chart, line_chart
from harness.pages.page import MOST_ROWS, Picture, picture, render, rows_of
from harness.stats import smallest_effect
from harness.studies.roi.charts import cost_charts, rate_charts
from harness.tables import Table

PICTURES = "eval.pictures"
PLAIN = ("eval.numbers", "eval.paired", "cost.times")  # long, and for programs
POINTS = "points"  # the unit of what is drawn against the number of clips
CLIPS = (5, 8, 12, 16, 20, 25, 30, 40, 50, 75, 100)


@dataclass(frozen=True)
class Bar:
    """A check's interval as positions between 0 and 100; `low_side` is whether passing lies below the threshold."""

    low: float
    value: float
    high: float
    threshold: float
    low_side: bool


def write_report(verdict: Verdict, path: Path, evidence: Path | None = None) -> Path:
    """Write a verdict as a page.

    Args:
        verdict: What to show.
        path: The page, which holds everything and fetches nothing.
        evidence: The gate's folder of that name, where there is one: its tables, curves and pictures are shown too.

    Returns:
        `path`.

    Raises:
        InputError: For evidence that was changed by hand or belongs to another verdict.
    """
    tables = _evidence_of(verdict, evidence)
    page = render(
        "report.html.j2",
        [Path(__file__).parent],
        verdict=verdict,
        overrides=overrides_of(verdict),
        summary=summary(verdict),
        checks=[(check, bar_of(check)) for check in verdict.checks],
        shown=shown,
        interval=interval,
        rule_text=rule_text,
        charts=[
            *power_charts(verdict),
            *(chart for table in tables if table.kind in CHARTS for chart in CHARTS[table.kind](table)),
        ],
        tables=[rows_of(table.title, table.rows) for table in tables if _worth_rows(table)],
        pictures=[shot for table in tables if table.kind == PICTURES for shot in _pictures(table, evidence)],
    )
    write_text(path, page)
    return path


def overrides_of(verdict: Verdict) -> list[str]:
    """What the policy of a verdict says otherwise than the shipped one, `name = value (shipped: value)`, or lacks."""
    own, shipped = map(flat, (verdict.policy["content"], load_policy().content))
    changed = [
        f"{name} = {own[name]!r}" + (f" (shipped: {shipped[name]!r})" if name in shipped else "")
        for name in own
        if name not in shipped or own[name] != shipped[name]
    ]
    return changed + [f"without {name} (shipped: {shipped[name]!r})" for name in shipped if name not in own]


def power_charts(verdict: Verdict) -> list[Chart]:
    """The smallest effect that so many clips show, check by check, were clips as far apart as in this verdict."""
    content = dict(verdict.policy["content"])
    if SECTION not in content:
        return []
    try:
        how, level, spreads = policy_of(content).statistics, float(content[SECTION]["level"]), spreads_of(verdict)
    except InputError:
        return []  # a policy of before, which today's schema does not know
    lines = [
        (check.name, number, [(count, smallest_effect(spreads[check.key], count, level, how)) for count in CLIPS])
        for number, check in enumerate(check for check in verdict.checks if check.unit == POINTS)
        if check.key in spreads
    ]
    title = f"What so many clips show at {level:.0%} power"
    return [line_chart(title, "clips", f"smallest effect, {POINTS}", lines)] if lines else []


def bar_of(check: Check) -> Bar | None:
    """Where interval and threshold lie on a line from 0 to 100; None for facts and for what was not measured."""
    if check.value is None or check.rule == "fact":
        return None
    low = check.value if check.low is None else check.low
    high = check.value if check.high is None else check.high
    left, right = min(low, check.threshold), max(high, check.threshold)
    room = 0.15 * (right - left) or abs(check.threshold) or 1.0

    def place(value: float) -> float:
        return round(100 * (value - left + room) / (right - left + 2 * room), 2)

    return Bar(place(low), place(check.value), place(high), place(check.threshold), check.rule == "at_most")


def _evidence_of(verdict: Verdict, folder: Path | None) -> list[Table]:
    """The tables in a folder; those that were judged must be the ones that the verdict names."""
    if folder is None or not folder.is_dir():
        return []
    tables = tables_in(folder)
    if other := first_other(verdict, tables):
        raise InputError(f"{folder}: {other.name} is not what this verdict was made from ({other.kind})")
    return tables


def _pr_charts(table: Table) -> Iterable[Chart]:
    """One chart; rows are `{model, recall, precision}`."""
    lines = [
        (str(model), number, list(zip(rows["recall"], rows["precision"], strict=True)))
        for number, (model, rows) in enumerate(table.rows.groupby("model", sort=False))
    ]
    yield line_chart(table.title, "recall", "precision", lines)


def _worth_rows(table: Table) -> bool:
    """Small tables of what was found, not those about the run itself or for programs."""
    drawn = table.kind in (PICTURES, *CHARTS, *PLAIN)
    return 0 < len(table.rows) <= MOST_ROWS and not drawn and not table.kind.startswith("gate.")


def _pictures(table: Table, folder: Path | None) -> Iterable[Picture]:
    for name, caption in zip(table.rows["file"], table.rows["caption"], strict=True):
        yield picture((folder or Path()) / Path(name).name, caption)


CHARTS: dict[str, Callable[[Table], Iterable[Chart]]] = {
    "eval.pr": _pr_charts,
    "roi.at_cost_points": rate_charts,
    "roi.at_cost_by_clip": cost_charts,
}
