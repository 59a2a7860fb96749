"""Rows of a result as a table on the terminal."""

from __future__ import annotations

import pandas as pd
from rich.console import Console
from rich.table import Table


def print_rows(rows: pd.DataFrame, number: str) -> None:
    """One line per row; numbers with a fraction as the format `number` has it, such as `.5f`."""
    shown = Table(*rows.columns)
    for row in rows.itertuples(index=False):
        shown.add_row(*(format(value, number) if isinstance(value, float) else str(value) for value in row))
    Console().print(shown)
