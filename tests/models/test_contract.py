"""Graphs that the extractor would refuse are refused, each with one line that says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import external_data_helper, helper

from harness.errors import InputError
from harness.models.contract import check_graph
from harness.models.model_file import ModelFile
from harness.models.placeholder import write_placeholder
from harness.models.session import load_model


@pytest.fixture
def placeholder(tmp_path: Path) -> Path:
    path = tmp_path / "placeholder.onnx"
    write_placeholder(path)
    return path


def altered(path: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)
    return path


def test_placeholder_passes_and_runs_at_any_size(placeholder: Path) -> None:
    facts = check_graph(placeholder)
    assert (facts.opset, facts.operators, facts.parameters) == (17, ("Conv", "Sigmoid"), 4)
    picture = np.full((1, 17, 33, 3), 128, np.uint8)
    expected = 1 / (
        1 + np.exp(-np.mean([(128 / 255 - m) / s for m, s in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))]))
    )
    np.testing.assert_allclose(load_model(placeholder).maps(picture), expected, atol=1e-6)


def rename_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = model.graph.node[-1].output[0] = "map"


def fixed_height(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 256


def older_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 16


def refused_operator(model: onnx.ModelProto) -> None:
    model.graph.node[-1].op_type = "Round"


def refused_operator_in_a_branch(model: onnx.ModelProto) -> None:
    body = helper.make_graph([helper.make_node("Round", ["logits"], ["r"])], "body", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["x"], then_branch=body, else_branch=body))


def foreign_domain(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename_output, r"output tensors are \['map'\] \(allowed: \['saliency_map'\]\)"),
        (fixed_height, "dynamic"),
        (older_opset, r"opset 16 \(allowed: 17\)"),
        (refused_operator, "operator Round is not admitted"),
        (refused_operator_in_a_branch, "operator Round is not admitted"),
        (foreign_domain, "com.microsoft"),
    ],
)
def test_refuses(placeholder: Path, change: Callable[[onnx.ModelProto], None], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_graph(altered(placeholder, change))


def test_refuses_external_data(placeholder: Path) -> None:
    model = onnx.load(placeholder)
    external_data_helper.convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
    onnx.save(model, placeholder)
    with pytest.raises(InputError, match="external data"):
        check_graph(placeholder)


def test_refuses_what_is_no_graph(tmp_path: Path) -> None:
    for content, message in ((b"", "0 bytes"), (b"just some text\n", "not an ONNX model|no ONNX graph")):
        path = tmp_path / "bad.onnx"
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            check_graph(path)
    with pytest.raises(InputError, match="No such file"):
        check_graph(tmp_path / "missing.onnx")


def test_load_refuses_another_hash(placeholder: Path) -> None:
    with pytest.raises(InputError, match=r"sha256 is [0-9a-f]{64}, the registry says 0000"):
        load_model(ModelFile("p", placeholder, "0000"))


def test_upstream_files_pass(shared: Path) -> None:
    for path in sorted((shared / "weights").glob("*.onnx")):
        assert check_graph(path).opset == 17


def test_functions_of_its_own_are_refused_whatever_they_are_called(placeholder: Path) -> None:
    """One that is called like an admitted operator could do anything, in another runtime than ours."""

    def add(model: onnx.ModelProto) -> None:
        body = [helper.make_node("Sin", ["x"], ["y"])]
        model.functions.append(helper.make_function("", "Sigmoid", ["x"], ["y"], body, [helper.make_opsetid("", 17)]))

    with pytest.raises(InputError, match="brings functions of its own, 'Sigmoid'"):
        check_graph(altered(placeholder, add))
