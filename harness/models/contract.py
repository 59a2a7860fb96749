"""What a graph must satisfy to load in the `mobilesal` extractor: names, shapes, opset, operators, one small file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from harness.errors import InputError
from harness.models.model_file import ModelFile

INPUT, OUTPUT = "input", "saliency_map"
OPSET = 17
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
MAX_TURNS = 1000  # of all Loops that stand in one another, together

ADMITTED_OPERATORS = frozenset(
    """
    Identity Reshape Flatten Squeeze Unsqueeze Transpose Concat Slice Gather Cast Shape Expand
    Add Sub Mul Div Neg Abs Sqrt Pow Exp Log Clip Min Max Sum Mean
    ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd GlobalAveragePool GlobalMaxPool Gemm MatMul
    Conv ConvTranspose MaxPool AveragePool Resize BatchNormalization LayerNormalization InstanceNormalization
    Relu LeakyRelu Sigmoid Tanh Softmax Elu Selu Softplus Softsign Gelu Erf HardSigmoid HardSwish PRelu Dropout
    QuantizeLinear DequantizeLinear DynamicQuantizeLinear MatMulInteger ConvInteger
    Constant ConstantOfShape Pad Reciprocal GatherND ScatterND BitShift Loop If
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
    """Read an ONNX file and refuse, as `InputError`, anything that the extractor would not load."""
    return admitted(ModelFile.at(path))[1]


def admitted(file: ModelFile) -> tuple[onnx.ModelProto, GraphFacts]:
    """The graph in a file and its facts.

    Raises:
        InputError: For anything that the extractor would not load, or that harness will not run: a Loop may turn
            at most `MAX_TURNS` times, by a constant. Source: `mobilesal.c` and the operator allow-list of the fork.
    """
    path, model = file.path, _parsed(file)
    opsets = {item.version for item in model.opset_import if item.domain in ("", "ai.onnx")}
    foreign = sorted({item.domain for item in model.opset_import} - {"", "ai.onnx"})
    operators = sorted({str(node.op_type) for node in _nodes(model.graph)})
    refused = [name for name in operators if name not in ADMITTED_OPERATORS]
    if refused:
        raise InputError(f"{path}: operator {refused[0]} is not admitted by the mobilesal loader")
    if foreign:
        raise InputError(f"{path}: operator domain {foreign[0]!r} is not admitted (allowed: the ONNX domain)")
    if opsets != {OPSET}:
        raise InputError(f"{path}: opset {_listed(opsets)} (allowed: {OPSET})")
    if model.functions:
        raise InputError(f"{path}: brings functions of its own, {model.functions[0].name!r} (allowed: operators)")
    if any(_external(tensor) for tensor in _tensors(model.graph)):
        raise InputError(f"{path}: keeps weights in external data (allowed: one self-contained file)")
    _check_port(path, "input", list(model.graph.input), INPUT, 3)
    _check_port(path, "output", list(model.graph.output), OUTPUT, 1)
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # onnx raises several unrelated types here
        raise InputError(f"{path}: not a valid ONNX graph: {str(error).splitlines()[0]}") from error
    _check_loops(path, model.graph, {}, 1)
    parameters = sum(_count(tensor) for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT)
    return model, GraphFacts(path, len(file.content), OPSET, tuple(operators), parameters)


def _parsed(file: ModelFile) -> onnx.ModelProto:
    size = len(file.content)
    try:
        model = onnx.load_model_from_string(file.content)
    except (DecodeError, ValueError, TypeError) as error:
        raise InputError(f"{file.path}: {size} bytes that are not an ONNX model") from error
    if not model.graph.node:
        raise InputError(f"{file.path}: {size} bytes that hold no ONNX graph")
    return model


def _check_loops(path: Path, graph: onnx.GraphProto, around: Mapping[str, int | None], turns: int) -> None:
    """`around` has the trip counts that outer graphs hold as constants, by tensor name; None where not one number."""
    known = {**around, **{tensor.name: _number(tensor) for tensor in graph.initializer}}
    for node in graph.node:
        if node.op_type == "Constant":
            known[node.output[0]] = next((_number(item.t) for item in node.attribute if item.name == "value"), None)
        count = turns
        if node.op_type == "Loop":
            trips = known.get(node.input[0])
            if trips is None:
                raise InputError(
                    f"{path}: a Loop turns as often as the graph computes (allowed: a constant, at most {MAX_TURNS})"
                )
            count *= max(1, trips)
            if count > MAX_TURNS:
                raise InputError(f"{path}: Loops that turn {count} times (allowed: at most {MAX_TURNS})")
        for attribute in node.attribute:
            for body in [attribute.g, *attribute.graphs]:
                _check_loops(path, body, known, count)


def _number(tensor: onnx.TensorProto) -> int | None:
    if _count(tensor) != 1 or tensor.data_type != onnx.TensorProto.INT64:
        return None
    return int(onnx.numpy_helper.to_array(tensor).item())


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
    if len(shape) != 4 or shape[1] != channels or fixed_side or (isinstance(shape[0], int) and shape[0] != 1):
        raise InputError(f"{path}: {kind} {name} has shape {shape} (allowed: [1, {channels}, H, W], H and W dynamic)")


def _count(tensor: onnx.TensorProto) -> int:
    total = 1
    for side in tensor.dims:
        total *= side
    return total


def _listed(values: set[int]) -> str:
    return ", ".join(map(str, sorted(values))) or "none"
