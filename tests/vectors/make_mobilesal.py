"""Regenerate `mobilesal_tiny.onnx` and `mobilesal.json`: a small graph, and its means by plain float64 NumPy.

Repeat with: python -m tests.vectors.make_mobilesal
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
CASES = [(64, 48, "420", 1), (61, 45, "420", 2), (50, 34, "422", 3), (33, 17, "444", 4), (16, 16, "420", 5)]


def weights():
    rng = np.random.default_rng(7)
    first = rng.normal(0, 0.4, (4, 3, 3, 3)).astype(np.float32)
    return first, np.array([[[[0.9]], [[-0.7]], [[0.5]], [[-0.4]]]], np.float32)


def graph():
    first, last = weights()
    sides = ["H", "W"]
    nodes = [
        helper.make_node("Conv", ["input", "first"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "last"], ["c"]),
        helper.make_node("Sigmoid", ["c"], ["saliency_map"]),
    ]
    ports = [
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, *sides])],
        [helper.make_tensor_value_info("saliency_map", TensorProto.FLOAT, ["N", 1, *sides])],
    ]
    tensors = [numpy_helper.from_array(first, "first"), numpy_helper.from_array(last, "last")]
    body = helper.make_graph(nodes, "tiny", *ports, tensors)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def expected(y, u, v, chroma):
    """The contract, pixel by pixel where it matters: float32 colour, then float64 network."""
    f = np.float32
    height, width = y.shape
    for axis, halved in ((0, chroma == "420"), (1, chroma in ("420", "422"))):
        if halved:
            u, v = (np.repeat(plane, 2, axis) for plane in (u, v))
    u, v = u[:height, :width], v[:height, :width]
    yn = (y.astype(f) - f(16)) * (f(1) / f(219))
    un, vn = ((plane.astype(f) - f(128)) * (f(1) / f(224)) for plane in (u, v))
    rgb = [yn + f(1.28033) * vn, yn - f(0.21482) * un - f(0.38059) * vn, yn + f(2.12798) * un]
    rgb = np.stack([np.floor(np.clip(c, 0, 1) * f(255) + f(0.5)) for c in rgb]).astype(np.float64)
    rgb = np.pad(rgb, ((0, 0), (0, -height % 8), (0, -width % 8)), mode="edge")
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    planes = np.pad((rgb / 255 - mean[:, None, None]) / std[:, None, None], ((0, 0), (1, 1), (1, 1)))
    first, last = (tensor.astype(np.float64) for tensor in weights())
    windows = np.lib.stride_tricks.sliding_window_view(planes, (3, 3), axis=(1, 2))
    hidden = np.maximum(np.einsum("chwij,kcij->khw", windows, first), 0)
    scores = np.einsum("khw,k->hw", hidden, last[0, :, 0, 0])
    return float((1 / (1 + np.exp(-scores)))[:height, :width].mean())


def main():
    from tests.helpers.clips import synthetic

    onnx.save(graph(), HERE / "mobilesal_tiny.onnx")
    cases = []
    for width, height, chroma, seed in CASES:
        frame = synthetic(width, height, chroma, seed)
        mean = round(expected(frame.y, frame.u, frame.v, chroma), 9)
        cases.append({"width": width, "height": height, "chroma": chroma, "seed": seed, "saliency_mean": mean})
    (HERE / "mobilesal.json").write_text(json.dumps({"cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
