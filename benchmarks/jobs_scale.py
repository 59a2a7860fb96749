"""Many small jobs through the real store and coordinator: time, memory, what a kill at half leaves, a run over all.

    python -m benchmarks.jobs_scale [--jobs 100000] [--executor local:2] [--store DIR or s3://…]

Each job sleeps a millisecond and gives a record as an evaluation's part does. The first coordinator is killed by
SIGKILL when half of the jobs are done, the second does the rest, the third finds all. One line a run, then sizes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness.jobs import Job, Store, executor_maker, stream_jobs
from harness.jobs.slurm import SubmititExecutor

SLEEP = 0.001


def tick(number: int) -> dict[str, object]:
    """A millisecond of nothing, and the sums and scalars of 25 images."""
    time.sleep(SLEEP)
    noise = np.random.default_rng(number)
    return {"images": 25, "scalars": {"mae": noise.random(25), "iou_mean@0.5": noise.random(25)}, "sums": number}


def coordinate(count: int, executor: str, store: str, kill_at: int) -> None:
    """One run; says how long what took, and the most memory that this process had. At `kill_at` it is killed."""
    jobs = [Job(tick, {"number": number}) for number in range(count)]
    began = time.monotonic()
    for job in jobs:
        _ = job.key
    keys, began, check = time.monotonic() - began, time.monotonic(), 0
    heard: list[int] = []
    threads = {threading.active_count()}

    def progress(done: int, total: int) -> None:
        heard.append(done)  # the first is what was found
        threads.add(threading.active_count())
        if kill_at and done >= kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    for place, result in stream_jobs(jobs, maker_of(executor), Store(store), progress):
        assert result["sums"] == place
        check += place
    assert check == count * (count - 1) // 2
    own = resource.getrusage(resource.RUSAGE_SELF)
    told = {"keys": keys, "seconds": time.monotonic() - began, "peak": own.ru_maxrss / 1024, "found": heard[0]}
    print(json.dumps({**told, "cpu": own.ru_utime + own.ru_stime, "threads": max(threads)}))


def maker_of(executor: str) -> Callable[[], Executor]:
    """What `--executor` says, or `submitit:TASKS`: processes of this machine, followed as SLURM's tasks are."""
    kind, _, tasks = executor.partition(":")
    if kind == "submitit":
        return partial(SubmititExecutor, "local", Path(tempfile.gettempdir(), "jobs-scale"), int(tasks), timeout_min=60)
    return executor_maker(executor)


def ran(count: int, executor: str, store: str, kill_at: int = 0) -> tuple[float, dict[str, Any]]:
    """A coordinator in a process of its own: wall seconds, and what it said, nothing where it was killed."""
    call = f"coordinate({count}, {executor!r}, {store!r}, {kill_at})"  # no job is of `__main__`: a worker has another
    words = [sys.executable, "-c", f"from benchmarks.jobs_scale import coordinate; {call}"]
    began = time.monotonic()
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, -signal.SIGKILL):
        sys.exit(f"a run ended with {done.returncode}")
    return time.monotonic() - began, json.loads(done.stdout) if done.stdout else {}


def size_of(store: str) -> tuple[int, int] | None:
    """Records of a folder and their bytes."""
    if "://" in store:
        return None
    sizes = [path.stat().st_size for path in Path(store).glob("*/*.json")]
    return len(sizes), sum(sizes)


def main() -> None:
    """Three runs; exit code 1 where a record was lost or written twice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--executor", default="local:2")
    parser.add_argument("--store")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        store, half = asked.store or str(Path(scratch, "store")), asked.jobs // 2
        wall, _ = ran(asked.jobs, asked.executor, store, half)
        print(f"killed after {half} of {asked.jobs} jobs: {wall:.1f} s; records kept: {size_of(store)}", flush=True)
        time.sleep(6)  # its workers end
        for what in ("the rest", "all found"):
            wall, said = ran(asked.jobs, asked.executor, store)
            print(
                f"{what}: {wall:.1f} s, keys {said['keys']:.1f} s, {said['found']} found, the rest in "
                f"{said['seconds']:.1f} s; coordinator: {said['cpu']:.1f} s of CPU, at most {said['peak']:.0f} MiB and "
                f"{said['threads']} threads",
                flush=True,
            )
            sys.exit(f"{said['found']} found, {half} were done") if said["found"] < half else None
        if sizes := size_of(store):
            count, total = sizes
            print(f"{count} records, {total / count:.0f} bytes each, {total / 2**20:.0f} MiB")
            sys.exit(0 if count == asked.jobs else 1)


if __name__ == "__main__":
    main()
