"""Whether a native extractor pads sides that are no multiple of 8: older builds do not, whatever the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from harness.errors import HarnessError
from harness.files import scratch_folder
from harness.models.contract import INPUT, OPSET, OUTPUT
from harness.models.session import load_model
from harness.quality.native import COLUMN, NativeExtractor, probe_frames
from harness.saliency.feature import extract

ODD = (86, 70)  # no multiples of 8
PARITY = 1e-5  # the contract's limit between runtimes


def why_not_padded(native: NativeExtractor) -> str | None:
    """Why a native extractor is not to be trusted with sides of no multiple of 8, or None.

    It is given a graph of our own, which looks past the edges: the answer is about the build, and no fault of a model
    can pass for it, nor the other way round.

    Args:
        native: What `choose` found.
    """
    what, frames = f"{native.name} does not pad sides that are no multiple of 8", probe_frames(*ODD)
    with scratch_folder() as folder:
        graph = Path(folder) / "edges.onnx"
        onnx.save(_edges(), str(graph))
        try:
            found = native.probe(graph, frames).column(COLUMN)
        except HarnessError as error:
            return f"{what}: {error}"
        wanted = np.array([sample.means[0] for sample in extract(frames, [load_model(graph)])])
    apart = float(np.abs(found - wanted).max())
    return f"{what}: {apart:.1e} apart from the embedded extractor at {ODD[0]}x{ODD[1]}" if apart > PARITY else None


def _edges() -> onnx.ModelProto:
    """The sigmoid of a 3x3 mean of the three channels together, for which nothing lies beyond the edge."""
    ports = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, channels, "H", "W"])
        for name, channels in ((INPUT, 3), (OUTPUT, 1))
    ]
    weight = numpy_helper.from_array(np.full((1, 3, 3, 3), 1 / 9, np.float32), "weight")
    nodes = [
        helper.make_node("Conv", [INPUT, "weight"], ["logits"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["logits"], [OUTPUT]),
    ]
    graph = helper.make_graph(nodes, "edges", ports[:1], ports[1:], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
