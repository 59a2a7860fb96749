"""How much faster the measures are than PySODMetrics' on the same maps, in turns of ten images, one process each.

    python -m benchmarks.measures_speed ORACLE-PYTHON MASK-FOLDER [IMAGES]

ORACLE-PYTHON is the interpreter of an environment with `pysodmetrics`; see tests/oracle/measures_pysodmetrics.py.
CPU time is compared, so that a busy machine slows both sides alike. Ours computes more: block IoU, PLCC, KL, SIM,
size classes and reliability come on top of what PySODMetrics is asked for. Where numba is installed, compiled loops
take their turn beside arrays.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from harness import metrics
from harness.jobs.memory import keep_freed_memory
from harness.metrics import Sample, Truth, loops

TURN = 10  # images
ORACLE = """
import sys, time, warnings
import numpy as np, py_sod_metrics as m
warnings.simplefilter("ignore")
data = np.load(sys.argv[1])
for line in sys.stdin:
    taken = []
    for index in map(int, line.split()):
        saliency, truth = data[f"map{index}"], data[f"mask{index}"].astype(np.uint8) * 255
        handlers = {"f": m.FmeasureHandler(True, True), "iou": m.IOUHandler(True, True, with_binary=True)}
        parts = [m.FmeasureV2(handlers), m.MAE(), m.Smeasure(), m.Emeasure(), m.WeightedFmeasure()]
        start = time.process_time()
        for part in parts:
            part.step(saliency, truth)
        taken.append(time.process_time() - start)
    print(*taken, flush=True)
"""


@dataclass(frozen=True)
class Compared:
    """Median seconds an image: PySODMetrics', and ours by way (`arrays`, `numba`) for the first map and the next."""

    theirs: float
    ours: dict[str, tuple[float, float]]


def compare(oracle: str, masks: Sequence[Path]) -> Compared:
    """Measure blurred and shifted masks against themselves, in turns."""
    arrays: dict[str, Any] = {}
    for index, path in enumerate(masks):
        mask = Image.open(path).convert("L")
        arrays[f"mask{index}"] = np.asarray(mask) > 128
        arrays[f"map{index}"] = np.roll(np.asarray(mask.filter(ImageFilter.GaussianBlur(12))), (9, -14), (0, 1))
    keep_freed_memory()  # as the workers of an evaluation do
    ways = {"arrays": 1 << 40, "numba": -1} if loops.compiled(loops.tally) else {"arrays": 1 << 40}
    theirs: list[float] = []
    ours: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "maps.npz"
        np.savez(data, **arrays)
        pipe = subprocess.PIPE
        with subprocess.Popen([oracle, "-c", ORACLE, str(data)], stdin=pipe, stdout=pipe, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for start in range(0, len(masks), TURN):
                turn = range(start, min(start + TURN, len(masks)))
                print(*turn, file=process.stdin, flush=True)
                theirs += map(float, process.stdout.readline().split())
                for way, worth in ways.items():
                    loops.WORTH = worth
                    taken = [_two(arrays[f"map{index}"], arrays[f"mask{index}"]) for index in turn]
                    ours[way] += taken if start else []  # the first turn compiles
            process.stdin.close()
    medians = {way: tuple(map(float, np.median(taken, axis=0))) for way, taken in ours.items()}
    return Compared(float(np.median(theirs[TURN:])), {way: (first, next_) for way, (first, next_) in medians.items()})


def _two(saliency: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """Seconds of the first map of a truth and of another, which shares what the truth alone decides."""
    truth, taken = Truth(mask), []
    for _ in range(2):
        start = time.process_time()
        metrics.reading(Sample.of(saliency, truth, minmax=True))
        taken.append(time.process_time() - start)
    return taken[0], taken[1]


def main(oracle: str, folder: str, images: str = "100") -> None:
    masks = sorted(Path(folder).glob("*.png"))[: int(images)]
    found = compare(oracle, masks)
    for way, seconds in found.ours.items():
        for name, each in zip(("first", "further"), seconds, strict=True):
            print(
                f"{len(masks)} images, CPU time, {way}: PySODMetrics {found.theirs * 1e3:.2f} ms, {name} map "
                f"{each * 1e3:.2f} ms, ratio {found.theirs / each:.1f}"
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
