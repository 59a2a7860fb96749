"""The verdicts that promoted, each kept in the model folder with the tables that it was decided on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.files import write_text
from harness.gate.evidence import keep_tables, read_tables
from harness.gate.signature import beside
from harness.gate.verdict import Verdict, read_verdict, write_verdict
from harness.tables import Table

FOLDER = "verdicts"


def place(folder: Path, digest: str) -> Path:
    """Where the verdict of a digest lies in a model folder, its tables (in `evidence`) and its signature beside it."""
    return folder / FOLDER / digest[:16] / "verdict.json"


def any_in(folder: Path) -> bool:
    """Whether a model folder keeps any verdict."""
    return any((folder / FOLDER).glob("*/verdict.json"))


def keep(folder: Path, verdict: Verdict, tables: Sequence[Table], signature: str | None = None) -> Path:
    """Write a verdict, those of the tables that it names, and its signature where there is one."""
    path = place(folder, verdict.digest)
    judged = {(one.kind, one.name) for one in verdict.tables}
    keep_tables([table for table in tables if (table.kind, table.name) in judged], path.parent / "evidence")
    beside(path).unlink(missing_ok=True)  # of a promotion that did not come to its end
    if signature is not None:
        write_text(beside(path), signature)
    write_verdict(verdict, path)
    return path


def recall(folder: Path, digest: str) -> tuple[Verdict, list[Table]]:
    """A verdict and its tables; `InputError` when they are gone or were changed."""
    path = place(folder, digest)
    return read_verdict(path), read_tables(path.parent / "evidence")
