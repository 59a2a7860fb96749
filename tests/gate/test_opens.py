"""A run of the gate reads the registry once and each model's file once, whatever it measures with them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.gate.run import run_gate
from harness.models import session
from tests.helpers.gate import tiny_policy, two_students

OPENED: Counter[str] | None = None


def _heard(event: str, arguments: tuple) -> None:
    if OPENED is not None and event == "open":
        OPENED[str(arguments[0])] += 1


sys.addaudithook(_heard)


@pytest.fixture
def opened() -> Iterator[Counter[str]]:
    """How often this process opened each file."""
    global OPENED
    session._opened.cache_clear()
    OPENED = Counter()
    yield OPENED
    OPENED = None


@pytest.mark.slow
def test_a_run_reads_the_registry_and_every_model_once(tmp_path: Path, opened: Counter[str]) -> None:
    models = two_students(tmp_path)
    opened.clear()
    words = {"profile": "demo", "policy": tiny_policy(), "models": models, "workers": 1}
    verdict = run_gate("old", "new", tmp_path / "out", **words, announce=lambda text: None)  # type: ignore[arg-type]
    measured = {item.key.split(".")[0] for item in verdict.measurements}
    assert measured == {"contract", "accuracy", "feature", "roi", "cost"}
    read = ["registry.json", "old.onnx", "new.onnx"]
    assert [opened[str(models / "tiny" / name)] for name in read] == [1, 1, 1]
