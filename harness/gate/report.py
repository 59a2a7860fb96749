"""The verdict as one self-contained HTML page: checks, curves, rows to sort, pictures to look at, provenance."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from harness.errors import InputError
from harness.files import write_text
from harness.gate.evidence import Evidence, read_evidence
from harness.gate.verdict import Check, Verdict, interval, rule_text, shown, summary

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
    """Write the page to `path` and return it; `evidence` is the gate's folder of that name, when there is one.

    Raises `InputError` for evidence that was changed by hand or belongs to another verdict.
    """
    gathered = _evidence_of(verdict, evidence)
    tables = {name: rows for item in gathered for name, rows in item.tables.items() if rows}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        verdict=verdict,
        summary=summary(verdict),
        checks=[(check, bar_of(check)) for check in verdict.checks],
        shown=shown,
        interval=interval,
        rule_text=rule_text,
        charts=[*_pr_charts(tables), *_rd_charts(tables)],
        tables=[_rows(name, rows) for name, rows in tables.items() if not name.startswith(("pr ", "rd "))],
        pictures=[picture for item in gathered for picture in _pictures(item, evidence)],
    )
    write_text(path, page)
    return path


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


def _evidence_of(verdict: Verdict, folder: Path | None) -> list[Evidence]:
    if folder is None or not folder.is_dir():
        return []
    groups = dict.fromkeys(check.group for check in verdict.checks)
    found = [read_evidence(folder / f"{group}.json") for group in groups if (folder / f"{group}.json").exists()]
    judged = {item.key: f"{item.value:.10g}" for item in verdict.measurements}
    for evidence in found:
        for item in evidence.measurements:
            if judged.get(item.key) != f"{item.value:.10g}":
                raise InputError(f"{folder}: {evidence.group}.json is not what this verdict was made from ({item.key})")
    return found


def _pr_charts(tables: dict[str, list[dict[str, Any]]]) -> Iterable[Chart]:
    for name, rows in tables.items():
        if name.startswith("pr "):
            lines = [
                (arm, number, [(row["recall"], row["precision"]) for row in rows if row["arm"] == arm])
                for number, arm in enumerate(dict.fromkeys(row["arm"] for row in rows))
            ]
            yield line_chart(f"Precision and recall on {name[3:]}", "recall", "precision", lines)


def _rd_charts(tables: dict[str, list[dict[str, Any]]]) -> Iterable[Chart]:
    """One chart per clip; rows are `{clip, arm, kbps, <quality>}`."""
    for name, rows in tables.items():
        if not name.startswith("rd "):
            continue
        arms = {arm: number for number, arm in enumerate(dict.fromkeys(row["arm"] for row in rows))}
        for clip in dict.fromkeys(row["clip"] for row in rows):
            own = sorted((row for row in rows if row["clip"] == clip), key=lambda row: row["kbps"])
            lines = [
                (arm, number, [(row["kbps"], row["quality"]) for row in own if row["arm"] == arm])
                for arm, number in arms.items()
            ]
            yield line_chart(f"{clip}", "kbit/s", name[3:], lines)


def _rows(name: str, rows: list[dict[str, Any]]) -> Rows:
    columns = tuple(dict.fromkeys(key for row in rows for key in row))
    cells = tuple(tuple(_cell(row.get(column)) for column in columns) for row in rows)
    return Rows(name, columns, cells)


def _cell(value: Any) -> tuple[str, str]:
    if isinstance(value, float):
        return shown(value), repr(value)
    return ("–", "") if value is None else (str(value), str(value))


def _pictures(evidence: Evidence, folder: Path | None) -> Iterable[Picture]:
    for name, caption in evidence.pictures.items():
        path = (folder or Path()) / name
        try:
            content = base64.b64encode(path.read_bytes()).decode()
        except OSError as error:
            raise InputError(f"cannot read picture {path}: {error.strerror}") from error
        yield Picture(f"data:{MIME[path.suffix.lower()]};base64,{content}", caption)
