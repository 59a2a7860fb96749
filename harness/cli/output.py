"""What a command says on stdout: rows as a table on the terminal, or JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from harness.cli.events import Shape, emit, shape
from harness.cli.terminal import terminal

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1  # of every `--json` but the verdict's, which has its own


def say(text: str, to_stderr: bool = False) -> None:
    """Print text as it is: names whole, in one line, whatever brackets they hold; a note where events go to stderr."""
    if to_stderr and shape() is Shape.JSON:
        emit("note", text=text)
    else:
        terminal(to_stderr, wrap=False).print(text)


def plain_line(text: str, style: str | None = None) -> None:
    """One line on stderr."""
    terminal(to_stderr=True, wrap=False).print(text, style=style)


def print_rows(rows: pd.DataFrame, number: str) -> None:
    """One line per row; numbers with a fraction as the format `number` has it, such as `.5f`."""
    shown = Table(*rows.columns)
    for row in rows.itertuples(index=False):
        shown.add_row(*(format(value, number) if isinstance(value, float) else str(value) for value in row))
    terminal().print(shown)


def print_json(value: Mapping[str, Any]) -> None:
    """Indented JSON, strict: a NaN is a fault of whoever made `value`; a file in `harness/schemas` describes it."""
    content = {"schema_version": SCHEMA_VERSION, **value}
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))
