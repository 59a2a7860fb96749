"""The shipped registry is sound, and `verify` finds every way in which it could not be."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import onnx
import pytest

from harness.errors import InputError
from harness.files import read_json, sha256_of, write_json
from harness.models import registry
from harness.models.production import Pointer, write_production
from tests.helpers.commands import run
from tests.helpers.models import write_student

PLACEHOLDER = "mobilesal_placeholder_v0"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    shutil.copytree(registry.model_folder(), tmp_path / "model")
    return tmp_path / "model"


def problems(models: Path) -> list[str]:
    return [finding.problem for finding in registry.verify(models) if finding.problem]


def test_shipped_models_verify(models: Path) -> None:
    assert problems(models) == []
    assert {"saliency_student_v1", "saliency_student_v2", PLACEHOLDER} <= {e["id"] for e in registry.entries(models)}


def flip_byte(graph: Path) -> None:
    content = bytearray(graph.read_bytes())
    content[-20] ^= 1
    graph.write_bytes(content)


def with_new_hash(change: Callable[[onnx.ModelProto], None]) -> Callable[[Path], None]:
    """A change to the graph whose hash the registry knows, so that only the graph can be at fault."""

    def apply(graph: Path) -> None:
        model = onnx.load(graph)
        change(model)
        onnx.save(model, graph)
        path = graph.parent / "registry.json"
        content = read_json(path)
        for entry in content["models"]:
            if entry["id"] == graph.stem:
                entry["sha256"] = sha256_of(graph)
        write_json(path, content)

    return apply


def older_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 16


def refused_operator(model: onnx.ModelProto) -> None:
    model.graph.node[-1].op_type = "Round"


def external_data(model: onnx.ModelProto) -> None:
    onnx.external_data_helper.convert_model_to_external_data(model, location="w.bin", size_threshold=0)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (flip_byte, "sha256 is"),
        (with_new_hash(older_opset), "opset 16"),
        (with_new_hash(refused_operator), "operator Round"),
        (with_new_hash(external_data), "external data"),
        (lambda graph: graph.with_suffix(".json").unlink(), "cannot read .*placeholder_v0.json"),
        (lambda graph: graph.unlink(), "cannot read .*placeholder_v0.onnx"),
    ],
    ids=["flipped byte", "opset", "operator", "external data", "no sidecar", "no graph"],
)
def test_verify_finds(models: Path, break_it: Callable[[Path], None], message: str) -> None:
    break_it(models / "tiny" / f"{PLACEHOLDER}.onnx")
    (problem,) = problems(models)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(problem)


def test_verify_checks_the_schema(models: Path) -> None:
    content = read_json(models / "tiny" / "registry.json")
    content["models"][0]["production"] = True
    write_json(models / "tiny" / "registry.json", content)
    assert "production" in problems(models)[0]


def test_unknown_model_lists_what_exists(models: Path) -> None:
    with pytest.raises(InputError, match=r"unknown model 'v9'.*saliency_student_v1"):
        registry.find_model("v9", models)
    with pytest.raises(InputError, match="no such file"):
        registry.find_model("missing.onnx", models)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({}, "top level: 'models' is a required property|'schema_version' is a required"),
        ([], "is not of type 'object'"),
    ],
)
def test_a_broken_registry_is_one_line(models: Path, tmp_path: Path, content: object, says: str) -> None:
    write_json(models / "tiny" / "registry.json", content)
    for ask in (registry.entries, lambda folder: registry.find_model("v1", folder)):
        with pytest.raises(InputError, match=says):
            ask(models)
    assert problems(models)


def test_an_entry_without_id_is_named(models: Path) -> None:
    content = read_json(models / "tiny" / "registry.json")
    del content["models"][1]["id"]
    write_json(models / "tiny" / "registry.json", content)
    with pytest.raises(InputError, match=r"registry.json: models.1: 'id' is a required property"):
        registry.entries(models)


def pointer_to(models: Path, **changes: str) -> None:
    entry = registry.entries(models)[0]
    pointer = {"id": entry["id"], "sha256": entry["sha256"], "verdict": None, "since": "2026-01-01", **changes}
    write_production(models, Pointer(**pointer))


def test_what_is_in_production_is_checked_against_the_registry(models: Path) -> None:
    pointer_to(models)
    assert problems(models) == [] and registry.find_model("production", models).name == PLACEHOLDER
    for changes, says in (
        ({"sha256": "0" * 64}, "another sha256 than the registry"),
        ({"id": "production"}, "production is in production, but the registry does not have it"),
    ):
        pointer_to(models, **changes)
        (problem,) = problems(models)
        assert says in problem
        with pytest.raises(InputError, match=says):
            registry.find_model("production", models)
    write_json(models / "production.json", {})
    (problem,) = problems(models)
    assert "is a required property" in problem
    with pytest.raises(InputError, match="is a required property"):
        registry.find_model("production", models)


def test_a_sidecar_that_is_no_object_is_a_finding(models: Path) -> None:
    write_json(models / "tiny" / f"{PLACEHOLDER}.json", [])
    assert problems(models) == [f"{PLACEHOLDER}.json: list at the top level (allowed: an object)"]


def test_list_marks_the_model_in_production(models: Path) -> None:
    def listed() -> dict[str, bool]:
        done = run("registry", "list", "--json", "--models", models)
        return {entry["id"]: entry["production"] for entry in json.loads(done.stdout)["models"]}

    pointer_to(models)
    assert [name for name, marked in listed().items() if marked] == [PLACEHOLDER]
    for columns in ("40", "80"):
        shown = run("registry", "list", "--models", models, COLUMNS=columns).stdout
        assert re.search(rf"^{PLACEHOLDER} +yes", shown, re.MULTILINE)
        assert max(map(len, shown.splitlines())) <= int(columns)
    pointer_to(models, sha256="0" * 64)
    assert not any(listed().values())
    (models / "production.json").unlink()
    assert not any(listed().values())


def student(folder: Path, name: str, gain: float = 1.0) -> Path:
    """Register a small student; its file in the folder."""
    path = write_student(folder.parent / f"{name}.onnx", gain)
    entry = registry.entry_for(name, path, "A test student.", "One layer.")
    return registry.register(entry, registry.sidecar_for(entry, {}), path, folder)


@pytest.mark.parametrize("name", ["production", "centre-prior", "oracle", "none"])
def test_a_name_that_means_something_else_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=rf"model id '{name}' means something else \(allowed: any id but production"):
        student(tmp_path / "model", name)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("name", ["Student", "a b", "a.b", "_a", "", "a" * 65])
def test_what_is_no_id_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"^model id .* \(allowed: up to 64 small letters, [^\n]*$"):
        registry.refuse_id(name)
    path = write_student(tmp_path / "x.onnx")
    entry = {**registry.entry_for("fine", path, "", ""), "id": name}
    with pytest.raises(InputError, match="model id"):
        registry.register(entry, {}, path, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("path", ["a/../../x.onnx", "../x.onnx", "a//x.onnx"])
def test_a_file_outside_the_folder_is_refused_by_everything_that_reads_the_registry(models: Path, path: str) -> None:
    content = read_json(models / "tiny" / "registry.json")
    content["models"][0]["onnx"] = path
    write_json(models / "tiny" / "registry.json", content)
    (problem,) = problems(models)
    assert "its file is" in problem or "does not match" in problem
    with pytest.raises(InputError, match=r"its file is|does not match"):
        registry.find_model("saliency_student_v1", models)


def test_two_ids_with_one_file_are_refused_so_that_none_is_written_over_the_other(models: Path) -> None:
    content = read_json(models / "tiny" / "registry.json")
    content["models"][0]["onnx"] = content["models"][1]["onnx"]
    write_json(models / "tiny" / "registry.json", content)
    (problem,) = problems(models)
    assert problem is not None and "have one file" in problem
    with pytest.raises(InputError, match="have one file"):
        registry.find_model("saliency_student_v1", models)


def test_an_id_that_stands_twice_is_refused_and_none_of_them_is_taken(models: Path) -> None:
    content = read_json(models / "tiny" / "registry.json")
    content["models"].append({**content["models"][1], "sha256": "0" * 64})
    write_json(models / "tiny" / "registry.json", content)
    assert problems(models) == ["saliency_student_v1 stands twice (allowed: once)"]
    with pytest.raises(InputError, match="saliency_student_v1 stands twice"):
        registry.find_model("saliency_student_v1", models)


@pytest.mark.slow
def test_of_eight_registrations_at_once_none_is_lost(tmp_path: Path) -> None:
    names = [f"student{number}" for number in range(8)]
    with ProcessPoolExecutor(4, get_context("spawn")) as pool:
        list(pool.map(student, [tmp_path / "model"] * 8, names))
    assert [entry["id"] for entry in registry.entries(tmp_path / "model")] == names
    assert problems(tmp_path / "model") == []
