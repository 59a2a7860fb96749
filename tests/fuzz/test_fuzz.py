"""Damaged files give a value or one line: a few seconds here, with FUZZ_SECONDS (`make fuzz`) as long as asked."""

from __future__ import annotations

import os
import shutil
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from harness.errors import HarnessError
from tests.fuzz.mutation import mutated
from tests.fuzz.targets import Target, targets

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))  # the number of the first damage: another one, other damage
COUNT, SLOW = 60, 20.0  # inputs of each reader in the suite, and seconds that none may take
NAMES = [
    *"json manifest recipe policy verdict registry production libvmaf table record job harness.toml sidecar".split(),
    *"training parity list y4m mp4 mkv contents png jpeg mask zip onnx".split(),
    *("signature keys".split() if shutil.which("ssh-keygen") else []),
    *("run.json history best checkpoint".split() if find_spec("torch") else []),
]


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    found = targets(tmp_path_factory.mktemp("seeds"))
    assert set(found) == set(NAMES)
    return found


def _read(target: Target, folder: Path, data: bytes) -> str:
    """What the reader says of `data`: its error's text, or nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in ((target.file, data), *target.beside):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    try:
        target.read(folder / (target.asked or target.file))
    except HarnessError as error:
        return str(error)
    return ""


@pytest.mark.slow
@pytest.mark.timeout(120 + 2 * SECONDS)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_one_line(readers: dict[str, Target], tmp_path: Path, name: str) -> None:
    target, end, number, refused = readers[name], time.monotonic() + SECONDS / len(NAMES), FIRST, 0
    assert _read(target, tmp_path / "f", target.seed) == ""  # else the damage is in the seed
    while number < FIRST + COUNT or time.monotonic() < end:
        data, began = mutated(target.seed, number), time.monotonic()
        try:
            said = _read(target, tmp_path / f"{number % 2}", data)
        except Exception as error:
            pytest.fail(f"{name}, damage {number}: {type(error).__name__}: {str(error)[:300]}")
        assert time.monotonic() - began < SLOW, f"{name}, damage {number}"
        refused += bool(said)
        number += 1
    print(f"{name}: {number - FIRST} damaged files, {refused} refused")  # `make fuzz` shows it
    assert refused  # damage is noticed at all
