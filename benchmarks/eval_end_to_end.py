"""What a whole evaluation costs: images per second with one process and with several, and memory as the set grows.

    python benchmarks/eval_end_to_end.py MODEL SPLIT ROOT [IMAGES] [WORKERS]

One run compares both, so that a busy machine slows them alike; peak memory is this process plus its workers.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from corpora.loader import load_pairs
from harness.evaluate import Options, evaluate
from harness.saliency.working_size import WorkingSize


def main(model: str, split: str, root: str, images: str = "400", workers: str = "2") -> None:
    pairs = {split: load_pairs(split, Path(root))}
    options = Options((WorkingSize.parse("256"),))
    seconds = {}
    for processes in (1, int(workers)):
        start = time.perf_counter()
        evaluate([model], pairs, options, limit=int(images), workers=processes)
        seconds[processes] = time.perf_counter() - start
        print(f"{processes} process(es): {images} images in {seconds[processes]:.1f} s", flush=True)
    print(f"ratio {seconds[1] / seconds[int(workers)]:.2f}")
    peaks = []
    for limit in (int(images) // 4, int(images)):
        evaluate([model], pairs, options, limit=limit)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        print(f"{limit} images: peak {peaks[-1]:.0f} MiB so far")
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    growth = 1024 * (peaks[1] - peaks[0]) / (int(images) * 0.75)
    print(f"largest worker {worker:.0f} MiB; growth {growth:.1f} KiB an image")


if __name__ == "__main__":
    main(*sys.argv[1:])
