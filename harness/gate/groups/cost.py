"""What the candidate costs against the incumbent: time a frame, alternately in one run, and peak memory."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from harness.errors import HarnessError
from harness.gate.context import Contender, Context
from harness.gate.evidence import Evidence
from harness.gate.intervals import exactly, mean_of
from harness.gate.policy import Size, Statistics
from harness.gate.verdict import Measurement
from harness.models.session import SaliencyModel, load_model

GROUP = "cost"
THREADS = 1  # one thread each: a ratio that other load on the machine disturbs least


def inputs(context: Context) -> dict[str, str]:
    """Nothing but the weights."""
    return {}


def gather(context: Context) -> Evidence:
    """Time ratios at every size of the policy, the memory ratio at the largest, and the absolute figures."""
    models = [contender.load(THREADS) for contender in context.pair]
    found: list[Measurement] = []
    rows = []
    for size in context.policy.cost.sizes:
        seconds = paired_seconds(models[0], models[1], size, context.profile.rounds)
        found += _times(seconds, size, context.policy.statistics)
        medians = 1000 * np.median(seconds, axis=0)
        for contender, milliseconds in zip(context.pair, medians, strict=True):
            rows.append({"model": contender.file.name, "size": _label(size), "ms/frame": float(milliseconds)})
    largest = max(context.policy.cost.sizes, key=lambda size: size[0] * size[1])
    peaks = [peak_memory(contender, largest) for contender in context.pair]
    found.append(exactly("cost.memory_ratio", peaks[1] / peaks[0], f"peak memory at {_label(largest)}"))
    for contender, peak in zip(context.pair, peaks, strict=True):
        rows.append({"model": contender.file.name, "size": _label(largest), "peak MiB": peak / 2**20})
    return Evidence(GROUP, tuple(found), tables={"cost": rows})


def paired_seconds(first: SaliencyModel, second: SaliencyModel, size: Size, rounds: int) -> np.ndarray:
    """Seconds a frame, `[rounds, 2]`: the two take turns, and every round turns their order."""
    frame = np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8)
    models = (first, second)
    for model in models:
        model.maps(frame)  # the first run allocates
    seconds = np.empty((rounds, 2))
    for index in range(rounds):
        for which in (0, 1) if index % 2 == 0 else (1, 0):
            start = time.perf_counter()
            models[which].maps(frame)
            seconds[index, which] = time.perf_counter() - start
    return seconds


def peak_memory(contender: Contender, size: Size) -> int:
    """Bytes that a process of its own holds at most while it runs one frame."""
    command = [sys.executable, "-m", "harness.gate.groups.cost", str(contender.file.path), *map(str, size)]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    if done.returncode:
        raise HarnessError(f"measuring memory of {contender.file.name} failed: {done.stderr.strip()[-200:]}")
    return int(done.stdout)


def _times(seconds: np.ndarray, size: Size, how: Statistics) -> list[Measurement]:
    """The geometric mean of the rounds' ratios, and each side's median in milliseconds."""
    key, (first, second) = f"cost.time_ratio.{_label(size)}", 1000 * np.median(seconds, axis=0)
    logarithm = mean_of(key, np.log(seconds[:, 1] / seconds[:, 0]), how)
    low, high = (None if bound is None else float(np.exp(bound)) for bound in (logarithm.low, logarithm.high))
    note = f"{first:.1f} to {second:.1f} ms a frame on one thread"
    return [Measurement(key, float(np.exp(logarithm.value)), low, high, count=len(seconds), note=note)]


def _label(size: Size) -> str:
    return f"{size[1]}x{size[0]}"


def _own_peak() -> int:
    """Peak resident bytes of this process. `VmHWM` first: `ru_maxrss` survives exec and would report the parent's."""
    status = Path("/proc/self/status")
    if status.exists() and (match := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(match[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _run_one(path: str, height: str, width: str) -> None:
    model = load_model(Path(path), THREADS)
    model.maps(np.zeros((1, int(height), int(width), 3), np.uint8))
    print(_own_peak())


if __name__ == "__main__":
    _run_one(*sys.argv[1:])
