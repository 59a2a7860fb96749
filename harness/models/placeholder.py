"""`mobilesal_placeholder_v0`: a 1x1 convolution and a sigmoid, the smallest graph that the extractor loads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from harness.files import whole_file
from harness.models.contract import INPUT, OPSET, OUTPUT

PLACEHOLDER_ID = "mobilesal_placeholder_v0"


def write_placeholder(path: Path) -> None:
    """Write the placeholder: the sigmoid of the mean of the three normalised channels."""
    ports = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, channels, "H", "W"])
        for name, channels in ((INPUT, 3), (OUTPUT, 1))
    ]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", [INPUT, "weight", "bias"], ["logits"], kernel_shape=[1, 1]),
            helper.make_node("Sigmoid", ["logits"], [OUTPUT]),
        ],
        PLACEHOLDER_ID,
        ports[:1],
        ports[1:],
        [
            numpy_helper.from_array(np.full((1, 3, 1, 1), 1 / 3, np.float32), "weight"),
            numpy_helper.from_array(np.zeros(1, np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, producer_name="harness", opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 8  # the version that opset 17 came with; older runtimes refuse newer ones
    with whole_file(path) as part:
        onnx.save(model, part)
