"""What a command says on stdout: rows as a table on the terminal, or JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table

from harness.cli.events import Shape, emit, shape

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1  # of every `--json` but the verdict's, which has its own


def say(text: str, to_stderr: bool = False) -> None:
    """Print text as it is: names whole, in one line, whatever brackets they hold; a note where events go to stderr."""
    if to_stderr and shape() is Shape.JSON:
        emit("note", text=text)
    elif to_stderr:
        plain_line(text)
    else:
        Console().print(text, markup=False, highlight=False, soft_wrap=True)


def plain_line(text: str, style: str | None = None) -> None:
    """One line on stderr."""
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True, style=style)


def print_rows(rows: pd.DataFrame, number: str) -> None:
    """One line per row; numbers with a fraction as the format `number` has it, such as `.5f`."""
    shown = Table(*rows.columns)
    for row in rows.itertuples(index=False):
        shown.add_row(*(format(value, number) if isinstance(value, float) else str(value) for value in row))
    Console().print(shown)


def print_json(value: Mapping[str, Any]) -> None:
    """Indented JSON, strict: a NaN is a fault of whoever made `value`; a file in `harness/schemas` describes it."""
    content = {"schema_version": SCHEMA_VERSION, **value}
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))
