"""Thousands of jobs whose workers are killed at random, against the same jobs left alone: the results must be equal.

    python -m benchmarks.soak [--jobs 2000] [--every 2] [--seed 1]

A user's command would end with one line after the third loss and go on when it is run again; here that is done until
all is there.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import HarnessError
from harness.files import sha256_of
from harness.jobs import Job, Store, open_executor, run_jobs


def work(number: int) -> dict[str, object]:
    """Some milliseconds of arithmetic, with an array in its result as an evaluation's parts have."""
    noise = np.random.default_rng(number).standard_normal((160, 160))
    return {"number": number, "values": np.linalg.svd(noise, compute_uv=False)}


@dataclass
class Killer:
    """Kills one child process of this one every so many seconds, half the time by SIGKILL and half by SIGTERM."""

    every: float
    chance: random.Random
    kills: int = 0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self.every * self.chance.uniform(0.5, 1.5)):
            if children := [child.pid for child in multiprocessing.active_children() if child.pid]:
                try:
                    os.kill(self.chance.choice(children), self.chance.choice((signal.SIGKILL, signal.SIGTERM)))
                except ProcessLookupError:
                    continue
                self.kills += 1

    def stop(self) -> None:
        """No more."""
        self._stop.set()
        self._thread.join()


def digests(store: Path) -> dict[str, str]:
    """Every stored record by its name, as what it holds."""
    return {str(path.relative_to(store)): sha256_of(path) for path in sorted(store.rglob("*")) if path.is_file()}


def main() -> None:
    """Run both, compare, print one line; exit code 1 where they differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between kills")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    jobs = [Job(work, {"number": number}) for number in range(asked.jobs)]
    with tempfile.TemporaryDirectory() as scratch:
        quiet, loud = Path(scratch) / "quiet", Path(scratch) / "loud"
        began = time.monotonic()
        expected = run_jobs(jobs, lambda: open_executor("local:2"), Store(quiet))
        alone = time.monotonic() - began
        killer, runs, began = Killer(asked.every, random.Random(asked.seed)), 0, time.monotonic()
        while True:
            runs += 1
            try:
                found = run_jobs(jobs, lambda: open_executor("local:2"), Store(loud))
                break
            except HarnessError as error:
                print(f"run {runs}: {error}", file=sys.stderr)
        killer.stop()
        took = time.monotonic() - began
        left = [child for child in multiprocessing.active_children() if child.is_alive()]
        same = all(
            one["number"] == other["number"] and np.array_equal(one["values"], other["values"])
            for one, other in zip(expected, found, strict=True)
        )
        kept = digests(quiet) == digests(loud)
    print(
        f"{len(jobs)} jobs, {killer.kills} workers killed, {runs} runs, {took:.0f} s (left alone {alone:.0f} s): "
        f"results {'equal' if same else 'DIFFER'}, {len(expected)} records "
        f"{'equal to the byte' if kept else 'DIFFER'}, {len(left)} processes left"
    )
    sys.exit(0 if same and kept and not left else 1)


if __name__ == "__main__":
    main()
