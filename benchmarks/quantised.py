"""fp16 and int8 (QDQ) variants of a student: what they cost in accuracy and what they save in time and bytes.

python -m benchmarks.quantised --model saliency_student_v3 --root /data/DUTS-TR --out results/train

Calibrated on training pairs, compared on the validation fold: test sets stay unseen. Times are processor time of all
threads, the variants taking turns in one process.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from benchmarks.publish import publish
from corpora.loader import Pair, content_digest, load_pairs
from harness.files import sha256_of
from harness.jobs.provenance import code_of, this_command
from harness.media.pictures import read_rgb, resized
from harness.models.contract import INPUT
from harness.models.registry import find_model
from harness.models.session import load_model, planes_of
from harness.stats import pearson
from harness.tables import Table
from train.data import validation_split

SIZES = ((256, 256), (360, 640), (1080, 1920))
REPEATS = 7


def picture(pair: Pair) -> np.ndarray:
    """The image at 256 x 256, uint8 `[1, 256, 256, 3]`."""
    return resized(read_rgb(pair.image), (256, 256))[None]


class Calibration(quantization.CalibrationDataReader):
    """Training pictures, one at a time."""

    def __init__(self, pairs: list[Pair]) -> None:
        self.pictures: Iterator[np.ndarray] = map(picture, pairs)

    def get_next(self) -> dict[str, np.ndarray] | None:
        found = next(self.pictures, None)
        return None if found is None else {INPUT: planes_of(found[0])[None]}


def variants(path: Path, folder: Path, calibration: list[Pair]) -> dict[str, Path]:
    """The file itself and its fp16 and int8 forms, written to `folder`."""
    half, whole, prepared = folder / "fp16.onnx", folder / "int8.onnx", folder / "prepared.onnx"
    narrow = convert_float_to_float16(onnx.load(path), keep_io_types=True, op_block_list=["Resize"])
    OnnxModel.graph_topological_sort(narrow.graph)
    onnx.save(narrow, half)
    quant_pre_process(path, prepared, skip_optimization=True, skip_symbolic_shape=True)
    quantization.quantize_static(
        prepared, whole, Calibration(calibration), quantization.QuantFormat.QDQ, per_channel=True,
        op_types_to_quantize=["Conv", "Add", "Relu", "Concat"], calibrate_method=quantization.CalibrationMethod.MinMax,
    )  # fmt: skip
    graph = onnx.load(whole)
    standard = [item for item in graph.opset_import if item.domain in ("", "ai.onnx")]
    del graph.opset_import[:]
    graph.opset_import.extend(standard)  # the tool imports domains that it then leaves unused
    onnx.save(graph, whole)
    return {"fp32": path, "fp16": half, "int8 (QDQ)": whole}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--calibrate", type=int, default=128)
    parser.add_argument("--compare", type=int, default=528)
    parser.add_argument("--out", type=Path, default=Path("runs/quantised"))
    asked = parser.parse_args()
    pairs = load_pairs("duts-tr", asked.root)
    kept, held = validation_split(len(pairs))
    file = find_model(asked.model)
    with tempfile.TemporaryDirectory() as scratch:
        paths = variants(file.path, Path(scratch), [pairs[index] for index in kept[: asked.calibrate]])
        models = {name: load_model(path) for name, path in paths.items()}
        rows: list[dict[str, Any]] = [{"variant": name, "bytes": models[name].facts.bytes} for name in models]
        correlations: dict[str, list[float]] = {name: [] for name in models}
        for index in held[: asked.compare]:
            shown = picture(pairs[index])
            maps = {name: model.maps(shown)[0].ravel().astype(np.float64) for name, model in models.items()}
            for name, found in maps.items():
                correlations[name].append(pearson(found, maps["fp32"]) or 0.0)
        for row in rows:
            row["plcc_mean with fp32"] = float(np.mean(correlations[row["variant"]]))
            row["plcc_min with fp32"] = float(np.min(correlations[row["variant"]]))
        for height, width in SIZES:
            frame = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
            spent: dict[str, list[float]] = {name: [] for name in models}
            for _ in range(REPEATS):
                for name, model in models.items():
                    started = time.process_time()
                    model.maps(frame)
                    spent[name].append(time.process_time() - started)
            for row in rows:
                row[f"cpu ms at {width}x{height}"] = min(spent[row["variant"]]) * 1e3
                row[f"ratio at {width}x{height}"] = min(spent[row["variant"]]) / min(spent["fp32"])
    compared = min(asked.compare, len(held))
    notes = (f"{file.name}: calibrated on {asked.calibrate} training pairs, compared on {compared} of {len(held)}.",)
    table = Table(
        "train.quantised",
        f"quantised-{file.name}",
        f"{file.name} in fp16 and int8",
        pd.DataFrame(rows),
        this_command(),
        {file.name: file.sha256 or sha256_of(file.path)},
        {"duts-tr": content_digest(pairs)},
        code_of("benchmarks.quantised"),
        notes=notes,
    )
    publish(table, asked.out)


if __name__ == "__main__":
    main()
