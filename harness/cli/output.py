"""What a command says on stdout: rows as a table on the terminal, or JSON for scripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd


def say(text: str, to_stderr: bool = False) -> None:
    """Print text as it is: names whole, in one line, whatever brackets they hold."""
    Console(stderr=to_stderr).print(text, markup=False, highlight=False, soft_wrap=True)


def print_rows(rows: pd.DataFrame, number: str) -> None:
    """One line per row; numbers with a fraction as the format `number` has it, such as `.5f`."""
    shown = Table(*rows.columns)
    for row in rows.itertuples(index=False):
        shown.add_row(*(format(value, number) if isinstance(value, float) else str(value) for value in row))
    Console().print(shown)


def print_json(value: Any) -> None:
    """Indented JSON, strict: a NaN is a fault of whoever made `value`."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
