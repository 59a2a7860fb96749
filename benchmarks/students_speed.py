"""What one map costs in ONNX Runtime, student beside student, by frame size.

python -m benchmarks.students_speed --base saliency_student_v2 --model saliency_student_v2 --model saliency_student_v3 \
    --model saliency_student_v4

The students take turns on the same frame in one process; times are wall clock with so many threads, ratios are to
`--base`, by default the model named second to last. They cover onnxruntime alone: what a whole extractor gains is in
`benchmarks/extractor.py`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.publish import publish
from harness.jobs.provenance import code_of, processor_name, this_command
from harness.models.contract import INPUT, OUTPUT
from harness.models.session import load_model
from harness.tables import Table

SIZES = ((256, 256), (360, 640), (1080, 1920), (2160, 3840))  # height, width


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", required=True, help="registry id or .onnx path; two or more")
    parser.add_argument("--base", help="what the others are compared with")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("results/speed"))
    asked = parser.parse_args()
    models = [load_model(name, asked.threads) for name in asked.model]
    if len(models) < 2:
        parser.error("nothing to compare: give two models or more")
    base = asked.base or models[-2].name
    if base not in [model.name for model in models]:
        parser.error(f"--base {base} is none of the models")
    rows = []
    for height, width in SIZES:
        planes = np.random.default_rng(0).standard_normal((1, 3, height, width), np.float32)
        spent: dict[str, list[float]] = {model.name: [] for model in models}
        for turn in range(asked.repeats + 1):
            for model in models:
                started = time.perf_counter()
                model.session.run([OUTPUT], {INPUT: planes})
                if turn:  # the first run plans and allocates
                    spent[model.name].append((time.perf_counter() - started) * 1e3)
        for model in models:
            ratios = [slow / own for slow, own in zip(spent[base], spent[model.name], strict=True)]
            rows.append(
                {
                    "size": f"{width}x{height}",
                    "model": model.name,
                    "ms (median)": statistics.median(spent[model.name]),
                    f"times as fast as {base}": statistics.median(ratios),
                    "lowest": min(ratios),
                    "highest": max(ratios),
                }
            )
    notes = (f"{asked.threads} threads, {asked.repeats} turns, {processor_name()}.",)
    table = Table(
        "speed.students",
        "students",
        "Time of one map",
        pd.DataFrame(rows),
        this_command(),
        {model.name: model.sha256 for model in models},
        code=code_of("benchmarks.students_speed"),
        notes=notes,
    )
    publish(table, asked.out)


if __name__ == "__main__":
    main()
