"""The verdict as one self-contained HTML page: checks, curves, rows to sort, pictures to look at, provenance."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from harness.errors import InputError
from harness.files import write_text
from harness.gate.diff import flat
from harness.gate.evidence import first_other, tables_in
from harness.gate.policy import load_policy
from harness.gate.text import interval, rule_text, shown, summary
from harness.gate.verdict import Check, Verdict
from harness.tables import Table

PICTURES = "eval.pictures"
PLAIN = ("eval.numbers", "eval.paired", "cost.times")  # long, and for programs
QUALITY = "psnr_y@mask"
MOST_ROWS = 200
TEMPLATES = Path(__file__).parent
MIME = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
WIDTH, HEIGHT, LEFT, BOTTOM = 360, 240, 44, 30  # of a chart, in SVG units


@dataclass(frozen=True)
class Bar:
    """A check's interval as positions between 0 and 100; `low_side` is whether passing lies below the threshold."""

    low: float
    value: float
    high: float
    threshold: float
    low_side: bool


@dataclass(frozen=True)
class Chart:
    """Lines over two axes, in SVG units: per line its name, its number for colouring, and its points."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[tuple[str, int, str], ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Rows:
    """A table to sort: headings and cells, each cell as its text and the value that sorts it."""

    title: str
    columns: tuple[str, ...]
    cells: tuple[tuple[tuple[str, str], ...], ...]


@dataclass(frozen=True)
class Picture:
    """A picture inside the page."""

    uri: str
    caption: str


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
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = environment.get_template("report.html.j2").render(
        verdict=verdict,
        script=script,
        script_digest=f"sha256-{digest}",
        overrides=overrides_of(verdict),
        summary=summary(verdict),
        checks=[(check, bar_of(check)) for check in verdict.checks],
        shown=shown,
        interval=interval,
        rule_text=rule_text,
        charts=[chart for table in tables if table.kind in CHARTS for chart in CHARTS[table.kind](table)],
        tables=[_rows(table) for table in tables if _worth_rows(table)],
        pictures=[picture for table in tables if table.kind == PICTURES for picture in _pictures(table, evidence)],
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


def line_chart(
    title: str, x_label: str, y_label: str, lines: Sequence[tuple[str, int, Sequence[tuple[float, float]]]]
) -> Chart:
    """Lines given as (name, colour number, points) to a chart with round ticks."""
    points = [point for _, _, line in lines for point in line]
    x_ticks, y_ticks = _ticks([x for x, _ in points]), _ticks([y for _, y in points])

    def x_of(x: float) -> float:
        return round(LEFT + (WIDTH - LEFT - 8) * (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0]), 2)

    def y_of(y: float) -> float:
        return round(8 + (HEIGHT - BOTTOM - 8) * (y_ticks[-1] - y) / (y_ticks[-1] - y_ticks[0]), 2)

    drawn = tuple((name, colour, " ".join(f"{x_of(x)},{y_of(y)}" for x, y in line)) for name, colour, line in lines)
    return Chart(
        title,
        x_label,
        y_label,
        drawn,
        tuple((x_of(tick), f"{tick:g}") for tick in x_ticks),
        tuple((y_of(tick), f"{tick:g}") for tick in y_ticks),
    )


def _ticks(values: Sequence[float]) -> list[float]:
    """Round numbers that span the values: about five steps of 1, 2 or 5 times a power of ten.

    >>> _ticks([0.1, 0.93])
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    low, high = min(values), max(values)
    span = (high - low) or abs(high) or 1.0
    power = 10 ** math.floor(math.log10(span / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * 5 >= span * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, max(last, first + 1) + 1)]


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


def _rd_charts(table: Table) -> Iterable[Chart]:
    """One chart per clip; rows are `{clip, arm, strength, kbps, <quality>}`; each arm at its median strength."""
    arms = {arm: number for number, arm in enumerate(table.rows["arm"].unique())}
    for clip, rows in table.rows.groupby("clip", sort=False):
        lines = []
        for arm, number in arms.items():
            own = rows[rows["arm"] == arm]
            strengths = sorted(own["strength"].dropna().unique())
            if strengths:
                own = own[own["strength"] == strengths[len(strengths) // 2]]
            if len(own):
                own = own.sort_values("kbps")
                lines.append((str(arm), number, list(zip(own["kbps"], own[QUALITY], strict=True))))
        yield line_chart(str(clip), "kbit/s", QUALITY, lines)


def _cost_charts(table: Table) -> Iterable[Chart]:
    """One chart per whole-frame quality: mean gain over clips against what it costs, arm by arm."""
    for cost, rows in table.rows.groupby("cost", sort=False):
        mean = rows.groupby(["arm", "budget_%"], sort=False)["gain_%"].mean().reset_index()
        lines = [
            (str(arm), number, list(zip(own["budget_%"], own["gain_%"], strict=True)))
            for number, (arm, own) in enumerate(mean.groupby("arm", sort=False))
            if len(own) > 1 and own["gain_%"].notna().all()
        ]
        if lines:
            yield line_chart("What steering buys at equal cost", f"cost in {cost}, % of bits", "gain, % of bits", lines)


def _worth_rows(table: Table) -> bool:
    """Small tables of what was found, not those about the run itself or for programs."""
    drawn = table.kind in (PICTURES, *CHARTS, *PLAIN)
    return 0 < len(table.rows) <= MOST_ROWS and not drawn and not table.kind.startswith("gate.")


def _rows(table: Table) -> Rows:
    cells = tuple(tuple(_cell(value) for value in row) for row in table.rows.itertuples(index=False, name=None))
    return Rows(table.title, tuple(map(str, table.rows.columns)), cells)


def _cell(value: Any) -> tuple[str, str]:
    if isinstance(value, float):
        return ("–", "") if math.isnan(value) else (shown(value), repr(value))
    return str(value), str(value)


def _pictures(table: Table, folder: Path | None) -> Iterable[Picture]:
    for name, caption in zip(table.rows["file"], table.rows["caption"], strict=True):
        path = (folder or Path()) / Path(name).name
        try:
            content = base64.b64encode(path.read_bytes()).decode()
        except OSError as error:
            raise InputError(f"cannot read picture {path}: {error.strerror}") from error
        yield Picture(f"data:{MIME[path.suffix.lower()]};base64,{content}", caption)


CHARTS: dict[str, Callable[[Table], Iterable[Chart]]] = {
    "eval.pr": _pr_charts,
    "roi.at_cost_points": _rd_charts,
    "roi.at_cost_by_clip": _cost_charts,
}
