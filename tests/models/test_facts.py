"""What a model's file keeps of its contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.models.facts import FACTS, Fact, facts_of
from harness.models.registry import Registry, entry_for, find_model, register, sidecar_for
from tests.helpers.models import write_student

SIZES = [(32, 48), (17, 21)]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A model folder with one registered student."""
    path = write_student(tmp_path / "new.onnx", 2.0)
    entry = entry_for("new", path, "A test student.", "One layer.")
    register(entry, sidecar_for(entry, {}), path, tmp_path / "model")
    return tmp_path / "model"


def facts(models: Path) -> dict[str, Fact]:
    found = facts_of(find_model("new", models), SIZES, registry=Registry.read(models))
    assert tuple(fact.name for fact in found) == FACTS
    return {fact.name: fact for fact in found}


def test_a_sound_model_keeps_them_all(models: Path) -> None:
    found = facts(models)
    assert {fact.held for fact in found.values()} == {True}
    assert found["graph"].note.startswith("opset 17, 2 operators") and found["sizes"].note == "48x32, 21x17"


@pytest.mark.parametrize(
    ("damage", "broken"),
    [("bytes", "registry"), ("sidecar", "registry"), ("Relu", "range"), ("Sin", "graph")],
)
def test_what_is_broken_is_named(models: Path, tmp_path: Path, damage: str, broken: str) -> None:
    target = models / "tiny" / "new.onnx"
    if damage == "bytes":
        write_student(target, gain=3.0)
    elif damage == "sidecar":
        target.with_suffix(".json").unlink()
    else:
        target.write_bytes(write_student(tmp_path / "bad.onnx", 2.0, damage).read_bytes())
    found = facts(models)
    assert found[broken].held is False
    if broken == "graph":
        assert {found[name].held for name in ("sizes", "finite", "range")} == {None}
        assert "operator Sin" in found["graph"].note


def test_a_path_is_no_matter_of_the_registry(models: Path) -> None:
    path = str(models / "tiny" / "new.onnx")
    found = {fact.name: fact for fact in facts_of(find_model(path, models), SIZES, registry=Registry.read(models))}
    assert (found["registry"].held, found["registry"].note) == (None, "given as a path: the registry does not know it")
