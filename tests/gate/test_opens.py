"""A run of the gate reads the registry once and each model's file once, whatever it measures with them."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.gate.policy import load_policy, policy_of
from harness.gate.run import run_gate
from harness.models import session
from harness.models.registry import entry_for, register, sidecar_for
from tests.helpers.models import write_student

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
    models = tmp_path / "model"
    for name, gain in (("old", 1.0), ("new", 2.0)):
        path = write_student(tmp_path / f"{name}.onnx", gain)
        entry = entry_for(name, path, "A test student.", "One layer.")
        register(entry, sidecar_for(entry, {}), path, models)
    content = json.loads(json.dumps(load_policy().content))
    content["contract"]["sizes"] = content["cost"]["sizes"] = [[32, 48]]
    content["feature"]["crf"] = [33]
    demo = {"clip_names": ["00-still", "01-pan"], "frames": 3, "rounds": 3, "pairs": {"synth": 4}}
    content["profiles"]["demo"] |= demo
    opened.clear()
    words = {"profile": "demo", "policy": policy_of(content), "models": models, "workers": 1}
    verdict = run_gate("old", "new", tmp_path / "out", **words, announce=lambda text: None)  # type: ignore[arg-type]
    measured = {item.key.split(".")[0] for item in verdict.measurements}
    assert measured == {"contract", "accuracy", "feature", "roi", "cost"}
    read = ["registry.json", "old.onnx", "new.onnx"]
    assert [opened[str(models / "tiny" / name)] for name in read] == [1, 1, 1]
