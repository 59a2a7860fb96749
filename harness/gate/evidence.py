"""The folder of tables that a verdict stands on: read as a whole, and kept to what the last run measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from harness.errors import InputError
from harness.gate.groups.base import DOUBTS, MISSING, Wanted
from harness.gate.judge import table_digest
from harness.gate.verdict import TableRecord, Verdict
from harness.tables import SUFFIXES, Table, read_table, table_name, write_table

MANY = 1000  # rows: compressed


def read_tables(*folders: Path) -> list[Table]:
    """Tables that are published, or are the evidence of a verdict.

    Args:
        folders: Where to look, all folders inside too.

    Returns:
        Every table, by path.

    Raises:
        InputError: For a folder that is not there or holds no table, and for a table that was changed after it was
            written.
    """
    found = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder of tables")
        inside = tables_in(folder)
        if not inside:
            raise InputError(f"{folder}: holds no table (a table is NAME.csv beside NAME.md)")
        found += inside
    return found


def tables_in(folder: Path) -> list[Table]:
    """Every table in and below a folder, which may hold none or not exist; errors as in `read_tables`."""
    return [read_table(path) for path in sorted(folder.rglob("*")) if path.name.endswith(SUFFIXES)]


def keep_tables(tables: Iterable[Table], folder: Path) -> list[Table]:
    """Write tables, and return them as they will be read: a judge sees nothing else."""
    found = []
    for table in tables:
        for suffix in SUFFIXES:
            (folder / f"{table.name}{suffix}").unlink(missing_ok=True)  # the other one may be there
        found.append(read_table(write_table(table, folder, SUFFIXES[len(table.rows) > MANY])[0]))
    return found


def first_other(verdict: Verdict, tables: Iterable[Table]) -> TableRecord | None:
    """The first table that a verdict was decided on and that is not among these as it was; None where all are."""
    found = {(table.kind, table.name): table_digest(table) for table in tables}
    return next((one for one in verdict.tables if found.get((one.kind, one.name)) != one.sha256), None)


def missing_table(reasons: Sequence[tuple[Wanted, str]], command: str) -> Table:
    """Why tables that were wanted are not there, for `Tables.find` to say."""
    rows = [{"kind": wanted.kind, "data": wanted.data, "reason": reason} for wanted, reason in reasons]
    return Table(MISSING, "missing", "What could not be measured", pd.DataFrame(rows), command)


def doubts_table(rows: Sequence[tuple[str, str]], command: str) -> Table:
    """What is odd about data of no known edition, for a verdict to say."""
    found = pd.DataFrame(rows, columns=["data", "doubt"])
    return Table(DOUBTS, "doubts", "What is odd about the data", found, command)


def drop_others(folder: Path, kept: Iterable[Table]) -> None:
    """Remove every table that is not among `kept`: what an earlier run left behind speaks for nothing."""
    names = {table.name for table in kept}
    for path in sorted(folder.glob("*")):
        if path.name.endswith((*SUFFIXES, ".md")) and table_name(path) not in names:
            path.unlink()
