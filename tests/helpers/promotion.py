"""Students in a registry, and verdicts that promote them."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.gate.evidence import keep_tables
from harness.gate.judge import judge
from harness.gate.policy import load_policy
from harness.gate.promote import begin
from harness.gate.verdict import Side, write_verdict
from harness.jobs.provenance import code_digest
from harness.models.registry import entry_for, find_model, register, sidecar_for
from harness.tables import Code, Table
from tests.helpers.gate import pair_of, winning_tables
from tests.helpers.models import write_student

COMMIT = "c" * 40
STUDY = "harness.stats"  # stands in for a study: whose code it is does not matter
CODE = Code(STUDY, code_digest(STUDY), COMMIT, {"numpy": "2"})


def student(folder: Path, name: str, gain: float, smoke: bool = False) -> None:
    """Register a student of that gain, new or in place of the one of that name."""
    path = write_student(folder.parent / f"{name}.onnx", gain)
    entry = entry_for(name, path, "A test student.", "One layer.", smoke)
    register(entry, sidecar_for(entry, {}), path, folder)


def registry_of_three(folder: Path) -> Path:
    """Students a, b and c in a registry, a in production."""
    for gain, name in enumerate("abc", start=1):
        student(folder, name, gain)
    begin("a", folder)
    return folder


def side(models: Path, name: str) -> Side:
    """A registered student as a pair names it."""
    return Side(name, find_model(name, models).sha256, f"{name}.onnx")


def tables_of(models: Path, old: str, new: str, code: Code = CODE) -> list[Table]:
    """Tables by which the second student wins everything."""
    return winning_tables(pair_of(side(models, old), side(models, new)), code=code)


def decided(models: Path, tables: list[Table], out: str = "run") -> Path:
    """A run's folder: the verdict on these tables, and the tables."""
    folder = models.parent / out
    shutil.rmtree(folder, ignore_errors=True)
    written = keep_tables(tables, folder / "evidence")
    write_verdict(judge(load_policy(models=models), written), folder / "verdict.json")
    return folder / "verdict.json"


def won(models: Path, old: str = "a", new: str = "b", out: str = "run") -> Path:
    """The verdict, by the registry's policy, that the second student may replace the first."""
    return decided(models, tables_of(models, old, new), out)
