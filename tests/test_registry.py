"""The shipped registry is sound, and `verify` finds every way in which it could not be."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from harness import registry
from harness.errors import InputError
from harness.files import read_json, sha256_of, write_json

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
