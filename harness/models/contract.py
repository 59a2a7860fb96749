"""What a graph must satisfy to load in the `mobilesal` extractor: names, shapes, opset, operators, one small file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from harness.errors import InputError

INPUT, OUTPUT = "input", "saliency_map"
OPSET = 17
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
MAX_BYTES = 50 * 1000 * 1000

ADMITTED_OPERATORS = frozenset(
    """
    Identity Reshape Flatten Squeeze Unsqueeze Transpose Concat Slice Gather Cast Shape Expand
    Add Sub Mul Div Neg Abs Sqrt Pow Exp Log Clip Min Max Sum Mean
    ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd GlobalAveragePool GlobalMaxPool Gemm MatMul
    Conv ConvTranspose MaxPool AveragePool Resize BatchNormalization LayerNormalization InstanceNormalization
    Relu LeakyRelu Sigmoid Tanh Softmax Elu Selu Softplus Softsign Gelu Erf HardSigmoid HardSwish PRelu Dropout
    QuantizeLinear DequantizeLinear Constant ConstantOfShape Pad Reciprocal GatherND ScatterND BitShift Loop If
    """.split()
)


@dataclass(frozen=True)
class GraphFacts:
    """What the file at `path` holds, as far as the contract asks."""

    path: Path
    bytes: int
    opset: int
    operators: tuple[str, ...]
    parameters: int


def check_graph(path: Path) -> GraphFacts:
    """Read an ONNX file and refuse, as `InputError`, anything that the extractor would not load.

    Source: `mobilesal.c` and the operator allow-list of the libvmaf fork.
    """
    path = Path(path)
    model, size = _read(path)
    opsets = {item.version for item in model.opset_import if item.domain in ("", "ai.onnx")}
    foreign = sorted({item.domain for item in model.opset_import} - {"", "ai.onnx"})
    operators = sorted({node.op_type for node in _nodes(model.graph)})
    refused = [name for name in operators if name not in ADMITTED_OPERATORS]
    if refused:
        raise InputError(f"{path}: operator {refused[0]} is not admitted by the mobilesal loader")
    if foreign:
        raise InputError(f"{path}: operator domain {foreign[0]!r} is not admitted (allowed: the ONNX domain)")
    if opsets != {OPSET}:
        raise InputError(f"{path}: opset {_listed(opsets)} (allowed: {OPSET})")
    if any(_external(tensor) for tensor in _tensors(model.graph)):
        raise InputError(f"{path}: keeps weights in external data (allowed: one self-contained file)")
    _check_port(path, "input", list(model.graph.input), INPUT, 3)
    _check_port(path, "output", list(model.graph.output), OUTPUT, 1)
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # onnx raises several unrelated types here
        raise InputError(f"{path}: not a valid ONNX graph: {str(error).splitlines()[0]}") from error
    parameters = sum(_count(tensor) for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT)
    return GraphFacts(path, size, OPSET, tuple(operators), parameters)


def _read(path: Path) -> tuple[onnx.ModelProto, int]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read model {path}: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise InputError(f"{path}: {len(content)} bytes (allowed: at most {MAX_BYTES})")
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError, TypeError) as error:
        raise InputError(f"{path}: {len(content)} bytes that are not an ONNX model") from error
    if not model.graph.node:
        raise InputError(f"{path}: {len(content)} bytes that hold no ONNX graph")
    return model, len(content)


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for body in [attribute.g, *attribute.graphs]:
                yield from _nodes(body)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in _nodes(graph):
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            yield from attribute.g.initializer


def _external(tensor: onnx.TensorProto) -> bool:
    return tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.external_data) > 0


def _check_port(path: Path, kind: str, found: list[onnx.ValueInfoProto], name: str, channels: int) -> None:
    names = [port.name for port in found]
    if names != [name]:
        raise InputError(f"{path}: {kind} tensors are {names} (allowed: [{name!r}])")
    tensor = found[0].type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT:
        raise InputError(f"{path}: {kind} {name} is not float32")
    sides = tensor.shape.dim
    shape = [side.dim_value if side.HasField("dim_value") else side.dim_param or "?" for side in sides]
    fixed_side = any(isinstance(side, int) for side in shape[2:])
    if len(shape) != 4 or shape[1] != channels or fixed_side:
        raise InputError(f"{path}: {kind} {name} has shape {shape} (allowed: [1, {channels}, H, W], H and W dynamic)")


def _count(tensor: onnx.TensorProto) -> int:
    total = 1
    for side in tensor.dims:
        total *= side
    return total


def _listed(values: set[int]) -> str:
    return ", ".join(map(str, sorted(values))) or "none"
