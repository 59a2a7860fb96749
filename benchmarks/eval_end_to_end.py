"""What a whole evaluation costs: wall time, images per second with one process and with several, and peak memory.

    python benchmarks/eval_end_to_end.py MODEL SPLIT ROOT [--limit IMAGES] [--workers N]

One run compares the process counts, so that a busy machine slows them alike. Every evaluation runs in a process of its
own, tables with intervals included, so that its peak memory is its own; workers are counted by the largest one.
Without `--limit` the whole split is measured.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from corpora.loader import load_pairs
from harness.models.working_size import WorkingSize
from harness.studies.eval.compare import with_intervals
from harness.studies.eval.options import EvalOptions
from harness.studies.eval.report import report_tables, write_report
from harness.studies.eval.run import evaluate_pairs


def measure(model: str, split: str, root: str, limit: int, workers: int) -> dict[str, float]:
    """One evaluation here: seconds of wall time and of processor time, peak MiB of this process and its workers."""
    pairs = {split: load_pairs(split, Path(root))}
    with tempfile.TemporaryDirectory() as scratch:
        start, options = time.perf_counter(), EvalOptions((WorkingSize.parse("256"),))
        done = evaluate_pairs([model], pairs, options, limit=limit, workers=workers, store=Path(scratch))
        measured = time.perf_counter() - start
        numbers, paired = with_intervals(done)
        write_report(done, numbers, report_tables(done, numbers, paired, "benchmark"), Path(scratch))
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "evaluate": measured,
        "whole": time.perf_counter() - start,
        "cpu": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
        "peak": own.ru_maxrss / 1024,
        "worker": children.ru_maxrss / 1024,
    }


def elsewhere(*arguments: str | int) -> dict[str, float]:
    """`measure` in a fresh process."""
    command = [sys.executable, __file__, "--one", *map(str, arguments)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("split")
    parser.add_argument("root")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    images = len(load_pairs(asked.split, Path(asked.root)))
    images = min(images, asked.limit or images)
    seconds, peaks = {}, {}
    for count, workers in ((images // 4, 1), (images, 1), (images, asked.workers)):
        found = elsewhere(asked.model, asked.split, asked.root, count, workers)
        seconds[workers], peaks[workers, count] = found["evaluate"], found["peak"]
        rate = count / found["evaluate"]
        print(
            f"{count} images, {workers} process(es): {found['evaluate']:.1f} s, {rate:.1f} images/s"
            f" ({found['whole']:.1f} s with tables, {found['cpu']:.1f} s of processor time);"
            f" peak {found['peak']:.0f} MiB" + (f", largest worker {found['worker']:.0f} MiB" if workers > 1 else ""),
            flush=True,
        )
    growth = 1024 * (peaks[1, images] - peaks[1, images // 4]) / (images - images // 4)
    print(f"{asked.workers} processes are {seconds[1] / seconds[asked.workers]:.2f} times as fast as one")
    print(f"peak memory grows by {growth:.1f} KiB an image")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        model, split, root, limit, workers = sys.argv[2:]
        print(json.dumps(measure(model, split, root, int(limit), int(workers))))
    else:
        main()
