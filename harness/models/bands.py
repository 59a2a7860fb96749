"""Large pictures through a graph that looks only nearby: in bands of rows, with the same result and bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import onnx

BAND_PIXELS = 700_000  # above this a picture is cut: five bands of 1080p take half the memory and a seventh more time

_POINTWISE = frozenset("Relu LeakyRelu Sigmoid Tanh HardSigmoid HardSwish Clip Add Sub Mul Div Concat Identity".split())


@dataclass(frozen=True)
class Locality:
    """An output row depends on input rows at most `reach` away; bands begin at multiples of `step` rows."""

    reach: int
    step: int


@dataclass(frozen=True)
class _Sight:
    radius: Fraction  # in input rows
    jump: Fraction  # input rows from one row of this tensor to the next


def locality(graph: onnx.GraphProto) -> Locality | None:
    """How far the graph looks, or None where it cannot be told: anything but convolutions, pools and fixed scalings."""
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    sights: dict[str, _Sight] = {graph.input[0].name: _Sight(Fraction(0), Fraction(1))}
    step = Fraction(1)
    for node in graph.node:
        settings = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        if node.op_type == "Constant" and "value" in settings:
            constants[node.output[0]] = onnx.numpy_helper.to_array(settings["value"])
            continue
        seen = [sights[name] for name in node.input if name in sights]
        if not seen or any(name and name not in sights and name not in constants for name in node.input):
            return None
        widest = _Sight(max(sight.radius for sight in seen), seen[0].jump)
        if any(sight.jump != widest.jump for sight in seen):
            return None
        after = _after(node, settings, widest, constants)
        if after is None:
            return None
        sights[node.output[0]] = after
        step = max(step, after.jump)
    last = sights.get(graph.output[0].name)
    if last is None or last.jump != 1 or step.denominator != 1:
        return None
    return Locality(-int(-last.radius // 1), int(step))


def _after(node: onnx.NodeProto, settings: dict, sight: _Sight, constants: dict[str, np.ndarray]) -> _Sight | None:
    if node.op_type in _POINTWISE:
        whole = node.op_type != "Concat" or settings.get("axis") == 1
        flat = all(
            constants[name].ndim < 3 or constants[name].shape[-2] == 1 for name in node.input if name in constants
        )
        return sight if whole and flat else None
    if node.op_type in ("Conv", "MaxPool", "AveragePool"):
        kernel = settings.get("kernel_shape") or constants[node.input[1]].shape[2:]
        reach = (kernel[0] - 1) * settings.get("dilations", [1])[0]
        before = settings.get("pads", [0])[0]
        stride = settings.get("strides", [1])[0]
        if settings.get("auto_pad", b"NOTSET") != b"NOTSET" or settings.get("ceil_mode"):
            return None
        return _Sight(sight.radius + max(before, reach - before) * sight.jump, sight.jump * stride)
    if node.op_type == "ConvTranspose":
        stride = settings.get("strides", [1])[0]
        exact = settings.get("kernel_shape") == [stride, stride] and not any(settings.get("pads", [0]))
        return _Sight(sight.radius + sight.jump, sight.jump / stride) if exact else None
    if node.op_type == "Resize" and len(node.input) == 3:
        scale = Fraction(float(constants[node.input[2]][2]))
        taps = {b"nearest": 1, b"linear": 1, b"cubic": 2}[settings.get("mode", b"nearest")]
        centred = settings.get("coordinate_transformation_mode", b"half_pixel") in (b"half_pixel", b"asymmetric")
        if scale < 1 or not centred:
            return None
        return _Sight(sight.radius + taps * sight.jump, sight.jump / scale)
    return None


def in_bands(
    run: Callable[[np.ndarray], np.ndarray], planes: np.ndarray, local: Locality, pixels: int = BAND_PIXELS
) -> np.ndarray:
    """`run` over `[1, 3, H, W]` in as few bands as keep each below `pixels`, put together as `[1, 1, H, W]`."""
    _, _, height, width = planes.shape
    margin = -(-local.reach // local.step) * local.step
    rows = max(local.step, (pixels // width - 2 * margin) // local.step * local.step)
    bands = -(-height // rows)
    rows = -(-height // bands // local.step) * local.step
    result = np.empty((1, 1, height, width), np.float32)
    for start in range(0, height, rows):
        end = min(height, start + rows)
        top, bottom = max(0, start - margin), min(height, end + margin)
        part = run(np.ascontiguousarray(planes[:, :, top:bottom]))
        result[:, :, start:end] = part[:, :, start - top : end - top]
    return result
