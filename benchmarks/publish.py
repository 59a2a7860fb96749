"""How a benchmark ends: its table written, and on the terminal."""

from __future__ import annotations

from pathlib import Path

from harness.tables import Table, write_table


def publish(table: Table, folder: Path) -> None:
    """Write `table` to `folder` and print what was written and its rows."""
    for path in write_table(table, folder):
        print(path)
    print(table.rows.to_string())
