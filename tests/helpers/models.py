"""Students small enough to write in a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_student(path: Path, gain: float = 1.0, activation: str = "Sigmoid") -> Path:
    """A one-layer student: brightness times `gain` through an activation."""
    weights = np.full((1, 3, 1, 1), gain, np.float32)
    nodes = [
        helper.make_node("Conv", ["input", "w"], ["logits"]),
        helper.make_node(activation, ["logits"], ["saliency_map"]),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, "H", "W"])
        for name, channels in (("input", 3), ("saliency_map", 1))
    ]
    graph = helper.make_graph(nodes, "student", ports[:1], ports[1:], [numpy_helper.from_array(weights, "w")])
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path
