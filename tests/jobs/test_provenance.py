"""A digest follows the code that decides numbers, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.jobs import provenance
from harness.jobs.provenance import code_digest, code_of, library_versions, this_command
from tests.helpers import ROOT

SOURCE = '''"""What."""

from harness.below import helper  # why
from harness.tables import Table


def number() -> int:
    """How."""
    # a remark
    return helper() + len("# no comment")
'''
EDITS = {
    "a comment": ("# why", "# because"),
    "a remark": ("    # a remark\n", ""),
    "a docstring": ('"""How."""', '"""How many\n\n    of them.\n    """'),
    "a module's docstring": ('"""What."""\n', ""),
    "blank lines": ("\n\n\n", "\n"),
    "a literal": ("# no comment", "# no commen"),
    "a number": ("helper() + ", "helper() - "),
}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "harness"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "study.py").write_text(SOURCE)
    (package / "below.py").write_text("def helper():\n    return 1\n")
    (package / "tables.py").write_text("class Table: ...\n")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    return package


def digest() -> str:
    return code_digest.__wrapped__("harness.study")


@pytest.mark.parametrize("name", EDITS)
def test_only_code_counts(tree: Path, name: str) -> None:
    before = digest()
    old, new = EDITS[name]
    assert old in SOURCE
    (tree / "study.py").write_text(SOURCE.replace(old, new))
    assert (digest() != before) is (name in ("a literal", "a number"))


def test_what_is_imported_counts_unless_it_only_carries_numbers(tree: Path) -> None:
    before = digest()
    (tree / "tables.py").write_text("class Table: other = 1\n")
    (tree / "beside.py").write_text("x = 1\n")
    assert digest() == before
    (tree / "below.py").write_text("def helper():\n    return 2\n")
    assert digest() != before


@pytest.mark.slow
def test_the_command_line_decides_no_study(monkeypatch: pytest.MonkeyPatch) -> None:
    studies = ("harness.studies.eval.compare", "harness.studies.score.tables", "harness.studies.roi.sweep")
    before = {study: code_digest.__wrapped__(study) for study in studies}
    read = Path.read_text

    def edited(path: Path, encoding: str = "utf-8") -> str:
        text = read(path, encoding)
        return text + "other = 1\n" if "cli" in path.parts or path.suffix == ".md" else text

    monkeypatch.setattr(Path, "read_text", edited)
    assert {study: code_digest.__wrapped__(study) for study in studies} == before


@pytest.mark.slow
def test_a_study_reaches_what_its_numbers_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_digest.__wrapped__("harness.studies.eval.compare")
    read = Path.read_text
    for name in ("iou.py", "stats.py", "session.py", "loader.py"):

        def edited(path: Path, encoding: str = "utf-8", name: str = name) -> str:
            return read(path, encoding) + "other = 1\n" * (path.name == name)

        monkeypatch.setattr(Path, "read_text", edited)
        assert code_digest.__wrapped__("harness.studies.eval.compare") != before, name


def test_code_of_says_module_commit_and_libraries() -> None:
    found = code_of("harness.studies.eval.compare")
    assert found.module == "harness.studies.eval.compare" and len(found.digest) == 64
    assert found.versions == library_versions() and {"numpy", "onnxruntime", "harness"} <= found.versions.keys()
    if (ROOT / ".git").exists():
        assert len(found.commit.removesuffix("+")) == 40


@pytest.mark.slow
def test_a_benchmark_names_itself_in_its_command(tmp_path: Path) -> None:
    assert this_command().split()[0] == "harness"  # and no more, where pytest itself has no argument
    package = tmp_path / "benchmarks"
    package.mkdir()
    (package / "speed.py").write_text("from harness.jobs.provenance import this_command\nprint(this_command())\n")
    words = [sys.executable, "-m", "benchmarks.speed", "--model", "a b"]
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout == "python -m benchmarks.speed --model 'a b'\n", done.stderr
