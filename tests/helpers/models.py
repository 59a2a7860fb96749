"""Students small enough to write in a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper


def write_student(path: Path, gain: float = 1.0, activation: str = "Sigmoid") -> Path:
    """A one-layer student: brightness times `gain` through an activation."""
    return write_graph(
        path,
        helper.make_node("Conv", ["input", "w"], ["logits"]),
        helper.make_node(activation, ["logits"], ["saliency_map"]),
        w=np.full((1, 3, 1, 1), gain, np.float32),
    )


def write_graph(path: Path, *nodes: NodeProto, **constants: np.ndarray) -> Path:
    """Nodes from `input` to `saliency_map`, with their constants by name."""
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, "H", "W"])
        for name, channels in (("input", 3), ("saliency_map", 1))
    ]
    held = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(list(nodes), "student", ports[:1], ports[1:], held)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def write_breaking(path: Path, how: str) -> Path:
    """A student that loads and breaks the contract when it runs: `half` or `twice` the size, `nan`, or `beyond` 1."""
    node, weights = helper.make_node, np.full((1, 3, 1, 1), 0.1, np.float32)
    if how == "half":
        return write_graph(
            path,
            node("Conv", ["input", "w"], ["logits"], strides=[2, 2]),
            node("Sigmoid", ["logits"], ["saliency_map"]),
            w=weights,
        )
    if how == "twice":
        return write_graph(
            path,
            node("Conv", ["input", "w"], ["logits"]),
            node("Sigmoid", ["logits"], ["small"]),
            node("Resize", ["small", "", "scales"], ["saliency_map"], mode="nearest"),
            w=weights,
            scales=np.array([1, 1, 2, 2], np.float32),
        )
    if how == "nan":
        return write_student(path, -1.0, "Sqrt")
    return write_graph(
        path,
        node("Conv", ["input", "w"], ["logits"]),
        node("Sigmoid", ["logits"], ["share"]),
        node("Mul", ["share", "three"], ["saliency_map"]),
        w=weights,
        three=np.array(3, np.float32),
    )
