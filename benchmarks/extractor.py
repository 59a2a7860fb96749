"""The embedded extractor: time a frame by model and size, its share of a whole score, and memory over length.

python -m benchmarks.extractor --model saliency_student_v1 --model saliency_student_v2 --out results/feature

Each figure is a process of its own; ratios compare processes of one run. `cpu_ms` is processor time of all threads,
which a busy machine stretches least.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd

from harness.files import sha256_of
from harness.jobs.provenance import code_of, processor_name, this_command
from harness.media.frames import Frame
from harness.media.open import open_clip
from harness.media.y4m import write_y4m
from harness.models.registry import find_model
from harness.models.session import load_model
from harness.saliency.colour import contract_rgb
from harness.saliency.feature import extract
from harness.studies.score.pair import ScorePlan, score
from harness.tables import Table, write_table

MODULE = "benchmarks.extractor"
SIZES = ((640, 360), (1920, 1080))


def picture(width: int, height: int) -> Frame:
    """A still frame of noise over a gradient."""
    rng = np.random.default_rng(0)
    y = (np.linspace(40, 200, width)[None] + rng.normal(0, 12, (height, width))).clip(16, 235).astype(np.uint8)
    u, v = rng.integers(100, 156, (2, height // 2, width // 2), np.uint8)
    return Frame(0, 0.0, y, u, v, "yuv420p", 8, "420")


def work(kind: str, path: str, model: str) -> dict[str, float]:
    """One measurement, in this process."""
    clip, loaded = open_clip(path), load_model(model)
    frames = iter(clip)
    loaded.maps(contract_rgb(next(frames))[None])  # the first run plans and allocates
    started, cpu = time.perf_counter(), time.process_time()
    if kind == "extract":
        count = sum(1 for _ in extract(clip, [loaded]))
    elif kind == "loop":  # one frame after the other, nothing overlapped
        count = sum(1 for frame in clip if loaded.maps(contract_rgb(frame)[None])[0].mean(dtype=np.float64) >= 0)
    elif kind == "convert":
        count = sum(1 for frame in clip if contract_rgb(frame).size)
    else:
        count = len(
            score(clip, clip, [loaded], ScorePlan(metrics=("psnr", "ssim", "xpsnr"), backend="embedded")).log.frames
        )
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_time = time.process_time() - cpu + children.ru_utime + children.ru_stime
    return {
        "ms": (time.perf_counter() - started) / count * 1e3,
        "cpu_ms": cpu_time / count * 1e3,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def measured(kind: str, path: Path, model: str) -> dict[str, float]:
    """The same in a fresh process."""
    command = [sys.executable, "-m", MODULE, "--work", kind, str(path), model]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append", default=[], help="registry id or .onnx path; repeatable")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("runs/score"))
    parser.add_argument("--work", nargs=3)
    asked = parser.parse_args()
    if asked.work:
        print(json.dumps(work(*asked.work)))
        return
    if not asked.model:
        parser.error("nothing to time: give at least one --model")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for width, height in SIZES:
            still = picture(width, height)
            paths = []
            for factor in (1, 3):
                paths.append(Path(scratch, f"{width}x{height}x{factor}.y4m"))
                frames = (replace(still, y=np.roll(still.y, 3 * n, 1)) for n in range(asked.frames * factor))
                write_y4m(paths[-1], frames, Fraction(25))
            for model in asked.model:
                found = {kind: measured(kind, paths[0], model) for kind in ("loop", "convert", "extract", "score")}
                longer = measured("extract", paths[1], model)
                rows.append(
                    {
                        "model": find_model(model).name,
                        "size": f"{width}x{height}",
                        "extractor_fps": 1e3 / found["extract"]["ms"],
                        "extractor_cpu_ms": found["extract"]["cpu_ms"],
                        "convert_share": found["convert"]["cpu_ms"] / found["extract"]["cpu_ms"],
                        "speed_against_loop": found["loop"]["ms"] / found["extract"]["ms"],
                        "share_of_score_cpu": found["extract"]["cpu_ms"] / found["score"]["cpu_ms"],
                        "peak_mib": found["extract"]["peak_mib"],
                        "peak_mib_3x_longer": longer["peak_mib"],
                        "score_peak_mib": found["score"]["peak_mib"],
                    }
                )
    notes = (
        f"{asked.frames} frames a figure; every figure a process of its own; {processor_name()}.",
        "The time of upstream's own binary is not here: none is at hand to run beside it.",
    )
    models = {file.name: file.sha256 or sha256_of(file.path) for file in map(find_model, asked.model)}
    table = Table(
        "speed.extractor",
        "extractor",
        "The embedded extractor",
        pd.DataFrame(rows),
        this_command(),
        models,
        code=code_of(MODULE),
        notes=notes,
    )
    write_table(table, asked.out)
    print(table.rows.to_string())


if __name__ == "__main__":
    main()
