"""A model may not hang or fill memory: its tensors' sizes are told from the graph, or it is tried in a child first."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import onnx

from harness.errors import InputError
from harness.models.model_file import ModelFile

SIDE = 64  # of the picture that sizes are told for, and that is tried
MOST_ELEMENTS = 1 << 28  # of all its tensors together: a GiB of float32
SECONDS, BYTES = 20, 2 << 30  # of a trial


def refuse_unbounded(file: ModelFile, model: onnx.ModelProto) -> None:
    """`InputError` for a graph that does not run on a small picture within bounds.

    A child tries it, unless its shapes say that it is small, or the registry vouches for these very bytes.
    """
    if file.registered == file.sha256:
        return
    elements = _elements(model)
    if (elements is None or elements > MOST_ELEMENTS) and (reason := _refusal(file.content)):
        raise InputError(f"{file.path}: a trial run on {SIDE}x{SIDE} pixels failed: {reason}")


def _elements(model: onnx.ModelProto) -> int | None:
    """All tensors of the graph together on a picture of `SIDE` x `SIDE`; None where shape inference leaves one open."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for axis, side in zip(fixed.graph.input[0].type.tensor_type.shape.dim, (1, 3, SIDE, SIDE), strict=True):
        axis.Clear()
        axis.dim_value = side
    fixed.graph.output[0].type.tensor_type.ClearField("shape")
    del fixed.graph.value_info[:]
    try:
        graph = onnx.shape_inference.infer_shapes(fixed, data_prop=True).graph
    except onnx.shape_inference.InferenceError:
        return None
    sizes = {port.name: _size(port.type.tensor_type) for port in [*graph.value_info, *graph.output]}
    counts = [sizes.get(name) for node in graph.node for name in node.output if name]
    return None if None in counts else sum(count for count in counts if count)


def _size(tensor: onnx.TypeProto.Tensor) -> int | None:
    if not tensor.HasField("shape") or not all(axis.HasField("dim_value") for axis in tensor.shape.dim):
        return None
    return math.prod(axis.dim_value for axis in tensor.shape.dim)


def _refusal(content: bytes) -> str | None:
    """Why a model does not run within the bounds, or None when it does."""
    script = Path(__file__).with_name("trial.py")
    words = [sys.executable, "-P", str(script), *map(str, (SIDE, SECONDS, BYTES))]
    try:
        done = subprocess.run(words, input=content, capture_output=True, timeout=2 * SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"it takes longer than {2 * SECONDS} s"
    if done.returncode == 0:
        return None
    if done.returncode < 0:
        return f"it takes more than {SECONDS} s or {BYTES >> 30} GiB"
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"it ends with exit code {done.returncode}"
