"""Imports follow the arrows of docs/architecture.md."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.app import COMMANDS
from tests.helpers import ROOT

SOURCES = sorted(path for folder in ("harness", "train", "corpora") for path in (ROOT / folder).rglob("*.py"))
WORKFLOWS = ("evaluate", "score", "parity", "ladder", "sweep", "gate", "card", "report", "demo", "doctor")
LOWER_ROOMS = (
    "harness/saliency",
    "harness/media",
    "harness/measures",
    "harness/quality",
    "harness/roi",
    "harness/jobs",
)


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def inside(names: set[str], package: str) -> set[str]:
    return {name for name in names if name == package or name.startswith(package + ".")}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: Path) -> None:
    names, place = imported(path), path.relative_to(ROOT).as_posix()
    if not place.startswith("harness/cli/") and place != "harness/__main__.py":
        assert not inside(names, "harness.cli")
    if not place.startswith("train/"):
        assert not inside(names, "torch") or place == "harness/cli/train.py"
        assert not inside(names, "train") or place == "harness/cli/train.py"
    if place.startswith(LOWER_ROOMS) or place.startswith("corpora/"):
        for workflow in WORKFLOWS:
            assert not inside(names, f"harness.{workflow}")
    assert not inside(names, "click")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    done = subprocess.run([sys.executable, "-m", "harness", name, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Example" in done.stdout or "Commands" in done.stdout


def test_every_command_loads_without_torch() -> None:
    script = (
        "import sys\n"
        "from harness.cli.app import load_commands\n"
        "load_commands([])\n"
        "assert 'torch' not in sys.modules and 'onnxruntime' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
