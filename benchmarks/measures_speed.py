"""How much faster the measures are than PySODMetrics' on the same maps, alternating in one run, one process each.

    python benchmarks/measures_speed.py ORACLE-PYTHON MASK-FOLDER [IMAGES]

ORACLE-PYTHON is the interpreter of an environment with `pysodmetrics`; see tests/oracle/measures_pysodmetrics.py.
CPU time is compared, so that a busy machine slows both sides alike. Ours computes more: block IoU, PLCC, KL, SIM,
size classes and reliability come on top of what PySODMetrics is asked for.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from harness import metrics
from harness.jobs.memory import keep_freed_memory
from harness.metrics import Sample, Truth

ORACLE = """
import sys, time, warnings
import numpy as np, py_sod_metrics as m
warnings.simplefilter("ignore")
data = np.load(sys.argv[1])
for line in sys.stdin:
    saliency, truth = data[f"map{int(line)}"], data[f"mask{int(line)}"].astype(np.uint8) * 255
    handlers = {"f": m.FmeasureHandler(True, True), "iou": m.IOUHandler(True, True, with_binary=True)}
    parts = [m.FmeasureV2(handlers), m.MAE(), m.Smeasure(), m.Emeasure(), m.WeightedFmeasure()]
    start = time.process_time()
    for part in parts:
        part.step(saliency, truth)
    print(time.process_time() - start, flush=True)
"""


def main(oracle: str, folder: str, images: str = "100") -> None:
    paths = sorted(Path(folder).glob("*.png"))[: int(images)]
    arrays = {}
    for index, path in enumerate(paths):
        mask = Image.open(path).convert("L")
        arrays[f"mask{index}"] = np.asarray(mask) > 128
        arrays[f"map{index}"] = np.roll(np.asarray(mask.filter(ImageFilter.GaussianBlur(12))), (9, -14), (0, 1))
    keep_freed_memory()  # as the workers of an evaluation do
    ours, again, theirs = [], [], []
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "maps.npz"
        np.savez(data, **arrays)
        pipe = subprocess.PIPE
        with subprocess.Popen([oracle, "-c", ORACLE, str(data)], stdin=pipe, stdout=pipe, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for index in range(len(paths)):
                print(index, file=process.stdin, flush=True)
                theirs.append(float(process.stdout.readline()))
                truth = Truth(arrays[f"mask{index}"])
                for seconds in (ours, again):  # the second model on an image shares the truth's distances
                    start = time.process_time()
                    metrics.reading(Sample.of(arrays[f"map{index}"], truth, minmax=True))
                    seconds.append(time.process_time() - start)
            process.stdin.close()
    first, second, other = (1000 * float(np.median(seconds)) for seconds in (ours, again, theirs))
    print(f"{len(paths)} maps, CPU time: PySODMetrics {other:.2f} ms, ours {first:.2f} ms, ratio {other / first:.1f}")
    print(f"each further model on the same images: {second:.2f} ms, ratio {other / second:.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
