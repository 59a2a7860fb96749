"""A student whose map is mirrored or blurred: a candidate that the gate must hold, or must never promote.

python -m benchmarks.spoil --model saliency_student_v3 --mirror --out runs/mirrored.onnx
python -m benchmarks.spoil --model saliency_student_v3 --blur 3 --out runs/blurred.onnx
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from harness.files import whole_file
from harness.models.contract import OUTPUT
from harness.models.registry import find_model


def spoilt(model: onnx.ModelProto, mirror: bool, blur: int) -> onnx.ModelProto:
    """`model` with its map mirrored left to right, and averaged over squares of `blur` pixels (odd) of the frame."""
    graph, sound = model.graph, "sound_map"
    for node in graph.node:
        node.output[:] = [sound if name == OUTPUT else name for name in node.output]
    steps: list[tuple[str, list[str], dict[str, Any]]] = []
    if mirror:
        ends = {"starts": [-1], "ends": [np.iinfo(np.int64).min], "axes": [3], "steps": [-1]}
        graph.initializer.extend(numpy_helper.from_array(np.array(value), name) for name, value in ends.items())
        steps.append(("Slice", [*ends], {}))
    if blur:
        half = blur // 2
        steps.append(("AveragePool", [], {"kernel_shape": [blur, blur], "pads": [half] * 4, "count_include_pad": 0}))
    for place, (kind, inputs, settings) in enumerate(steps, 1):
        made = OUTPUT if place == len(steps) else f"spoilt_{place}"
        graph.node.append(helper.make_node(kind, [sound, *inputs], [made], **settings))
        sound = made
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--mirror", action="store_true")
    parser.add_argument("--blur", type=int, help="side of the square, odd")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    if not asked.mirror and asked.blur is None:
        parser.error("nothing to spoil (allowed: --mirror, --blur 3, 5, 7 …)")
    if asked.blur is not None and (asked.blur < 3 or asked.blur % 2 == 0):  # an even one makes the map a pixel larger
        parser.error(f"--blur {asked.blur} (allowed: 3, 5, 7 …)")
    model = spoilt(onnx.load(find_model(asked.model).path), asked.mirror, asked.blur or 0)
    onnx.checker.check_model(model)
    with whole_file(asked.out) as part:
        onnx.save(model, part)
    print(asked.out)


if __name__ == "__main__":
    main()
