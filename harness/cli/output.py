"""What a command says on stdout: rows as a table on the terminal, or JSON for scripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd


def terminal(to_stderr: bool = False, wrap: bool = True) -> Console:
    """The one way to a terminal: what is printed there stands as it is, in tables too, whatever brackets names hold.

    What is to have a style is a `rich.text.Text`. Without `wrap` a line stays one.
    """
    return Console(stderr=to_stderr, markup=False, emoji=False, highlight=False, soft_wrap=not wrap)


def say(text: str, to_stderr: bool = False) -> None:
    """Print text as it is, in one line."""
    terminal(to_stderr, wrap=False).print(text)


def print_rows(rows: pd.DataFrame, number: str) -> None:
    """One line per row; numbers with a fraction as the format `number` has it, such as `.5f`."""
    shown = Table(*rows.columns)
    for row in rows.itertuples(index=False):
        shown.add_row(*(format(value, number) if isinstance(value, float) else str(value) for value in row))
    terminal().print(shown)


def print_json(value: Any) -> None:
    """Indented JSON, strict: a NaN is a fault of whoever made `value`."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
