"""What pyproject.toml allows is what is tested: its lower bounds are the versions that `make oldest` installs."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

import pytest

from tests.helpers import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BOUND = re.compile(r"([A-Za-z0-9_.-]+)(?:\[\w+\])?>=([\d.]+)")


def _pins(name: str) -> dict[str, str]:
    lines = [line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if "==" in line]
    return {_plain(package): version for package, version in (line.split("==") for line in lines)}


def _plain(package: str) -> str:
    return package.lower().replace("_", "-")


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def make(*words: object) -> subprocess.CompletedProcess[str]:
    if not shutil.which("make"):
        pytest.skip("no make")
    return subprocess.run(["make", *map(str, words)], cwd=ROOT, capture_output=True, text=True)


def test_cleaning_keeps_what_was_trained() -> None:
    done = make("-n", "clean")
    assert done.returncode == 0 and ".venv" in done.stdout.split() and "runs" not in done.stdout.split()


def test_half_an_environment_is_removed_and_made_again(tmp_path: Path) -> None:
    python, folder = tmp_path / "python", tmp_path / "venv"
    python.write_text('#!/bin/sh\n[ "$1" = -c ] && exit\nmkdir -p "$3/bin" && touch "$3/bin/python"\nexit 1\n')
    python.chmod(0o755)  # as one without ensurepip does
    words = f"VENV={folder}", f"PYTHON={python}", folder / "bin" / "python"
    assert make(*words).returncode == 2 and not folder.exists()
    assert make(*words).returncode == 2


def test_the_oldest_versions_are_the_lower_bounds() -> None:
    extras = PROJECT["optional-dependencies"]
    bounds = [BOUND.match(one) for one in (*PROJECT["dependencies"], *extras["dask"], *extras["slurm"], *extras["s3"])]
    allowed = {_plain(bound[1]): _numbers(bound[2]) for bound in bounds if bound}
    assert len(allowed) == len(bounds)  # every dependency has a lower bound
    assert {name: _numbers(version) for name, version in _pins("constraints-oldest.txt").items()} == allowed


def test_what_is_tested_is_allowed() -> None:
    tested = _pins("constraints.txt")
    for needed in chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()):
        bound = BOUND.match(needed)
        if bound and _plain(bound[1]) in tested:
            assert _numbers(tested[_plain(bound[1])]) >= _numbers(bound[2]), needed
