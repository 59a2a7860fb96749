"""`mobilesal_placeholder_v0`: a 1x1 convolution and a sigmoid, the smallest graph that the extractor loads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from harness.files import whole_file
from harness.saliency.contract import INPUT, OPSET, OUTPUT

PLACEHOLDER_ID = "mobilesal_placeholder_v0"


def write_placeholder(path: Path) -> None:
    """Write the placeholder: the sigmoid of the mean of the three normalised channels."""
    axes = [1, 3, "H", "W"], [1, 1, "H", "W"]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", [INPUT, "weight", "bias"], ["logits"], kernel_shape=[1, 1]),
            helper.make_node("Sigmoid", ["logits"], [OUTPUT]),
        ],
        PLACEHOLDER_ID,
        [helper.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, axes[0])],
        [helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, axes[1])],
        [
            numpy_helper.from_array(np.full((1, 3, 1, 1), 1 / 3, np.float32), "weight"),
            numpy_helper.from_array(np.zeros(1, np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, producer_name="harness", opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 8  # the version that opset 17 came with; older runtimes refuse newer ones
    with whole_file(path) as part:
        onnx.save(model, part)
