"""Pages that hold everything and fetch nothing, and the same parts as a notebook shows them."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from harness.cells import readable
from harness.errors import InputError
from harness.files import write_text
from harness.pages.charts import Chart
from harness.tables import Table

HERE = Path(__file__).parent
MOST_ROWS = 200  # of a table in a page; longer ones are for programs
NOTEBOOK_ROWS = 30
MIME = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


@dataclass(frozen=True)
class Rows:
    """A table to sort: headings and cells, each cell as its text and the value that sorts it."""

    title: str
    columns: tuple[str, ...]
    cells: tuple[tuple[tuple[str, str], ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture inside the page."""

    uri: str
    caption: str


def rows_of(title: str, rows: pd.DataFrame, most: int = MOST_ROWS) -> Rows:
    """The first so many rows of a table; a note under it says so where there are more."""
    cells = tuple(tuple(_cell(value) for value in row) for row in rows.head(most).itertuples(index=False, name=None))
    note = f"The first {most} of {len(rows):,} rows." if len(rows) > most else ""
    return Rows(title, tuple(map(str, rows.columns)), cells, note)


def _cell(value: Any) -> tuple[str, str]:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–", ""
    if isinstance(value, float):
        return readable(value), repr(float(value))
    return str(value), str(value)


def picture(path: Path, caption: str) -> Picture:
    """A picture's file, taken into the page; `InputError` when it cannot be read."""
    try:
        return picture_of(path.read_bytes(), caption, MIME[path.suffix.lower()])
    except OSError as error:
        raise InputError(f"cannot read picture {path}: {error.strerror}") from error


def picture_of(content: bytes, caption: str, mime: str = MIME[".png"]) -> Picture:
    """A picture from the bytes of its file."""
    return Picture(f"data:{mime};base64,{base64.b64encode(content).decode()}", caption)


def render(template: str, folders: Sequence[Path] = (), **given: Any) -> str:
    """A page from a template that extends `base.html.j2`, every value escaped.

    Args:
        template: The template's file name.
        folders: Where it lies, if not beside this module.
        given: What it shows.

    Returns:
        HTML under a content policy that lets the base's own script run and no other.
    """
    script = (HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _environment(folders).get_template(template).render(script=script, script_digest=f"sha256-{digest}", **given)


def _environment(folders: Sequence[Path] = ()) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, HERE]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def write_study(
    path: Path,
    title: str,
    tables: Sequence[Table],
    charts: Mapping[str, Sequence[Chart]] = {},
    pictures: Iterable[Picture] = (),
) -> Path:
    """Write what a study found as a page: tables to sort, charts, pictures, and what made it.

    Args:
        path: The page; equal tables and pictures give an equal file.
        title: Its heading.
        tables: What was found, the most important first; they say of themselves what made them.
        charts: By the heading over them.
        pictures: What else there is to see.

    Returns:
        `path`.

    Raises:
        InputError: When it cannot be written.
    """
    rest = tables[1:]
    shown = [rows_of(table.title, table.rows) for table in rest if 0 < len(table.rows) <= MOST_ROWS]
    long = [f"{table.name}: {table.title}, {len(table.rows):,} rows" for table in rest if len(table.rows) > MOST_ROWS]
    page = render(
        "study.html.j2",
        title=title,
        notes=list(dict.fromkeys(note for table in tables for note in table.notes)),
        first=rows_of(tables[0].title, tables[0].rows),
        tables=shown,
        long=long,
        charts={heading: list(found) for heading, found in charts.items() if found},
        pictures=list(pictures),
        made=tables[0],
        commands=list(dict.fromkeys(table.command for table in tables)),
    )
    write_text(path, page)
    return path


def fragment(
    title: str,
    tables: Sequence[Rows] = (),
    charts: Sequence[Chart] = (),
    pictures: Sequence[Picture] = (),
    lines: Sequence[str] = (),
) -> str:
    """The same parts for a notebook, every value escaped; it needs no style sheet and runs nothing.

    Args:
        title: In bold, above all.
        tables: Rows, as `rows_of` makes them.
        charts: Drawn beside each other.
        pictures: Shown under them.
        lines: Sentences under the title.

    Returns:
        HTML for `_repr_html_`.
    """
    template = _environment().get_template("fragment.html.j2")
    return template.render(title=title, tables=tables, charts=charts, pictures=pictures, lines=lines)
