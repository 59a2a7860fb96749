"""Images per second of a training step, against the plain float32 NCHW loop, side by side in one run.

python -m benchmarks.train_throughput --out results/speed
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import torch

from harness.jobs.memory import keep_freed_memory
from harness.jobs.provenance import code_of, processor_name, this_command
from harness.tables import Table, write_table
from train.losses import bce_dice, supervised
from train.precision import autocast, precision_of
from train.students.registry import STUDENTS, build_student

MODULE = "benchmarks.train_throughput"
BATCH, SIDE, WARM, TIMED, TURNS = 32, 256, 1, 4, 2
SIDE_WEIGHT = 0.4
CPU = torch.device("cpu")


def images_per_second(name: str, fast: bool) -> float:
    """One process's median speed; `fast` is what `harness train` does on a CPU."""
    torch.manual_seed(0)
    student = build_student(name)
    images, truth = torch.randn(BATCH, 3, SIDE, SIDE), (torch.rand(BATCH, 1, SIDE, SIDE) > 0.5).float()
    if fast:
        keep_freed_memory()
        student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = images.to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(student.parameters(), 1e-3)
    seconds = []
    for _ in range(WARM + TIMED):
        started = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        with autocast(CPU) if fast else nullcontext():
            outputs = student.outputs(images)
        supervised(bce_dice, outputs, truth, SIDE_WEIGHT).backward()
        optimiser.step()
        seconds.append(time.perf_counter() - started)
    return BATCH / sorted(seconds[WARM:])[TIMED // 2]


def in_own_process(name: str, fast: bool) -> float:
    """Allocator settings outlive a measurement, so each has a process of its own."""
    command = [sys.executable, "-m", MODULE, "--student", name, *(["--fast"] if fast else [])]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/speed"))
    parser.add_argument("--student")
    parser.add_argument("--fast", action="store_true")
    options = parser.parse_args()
    if options.student:
        print(images_per_second(options.student, options.fast))
        return
    rows = []
    for name in [name for name in STUDENTS if name != "teacher"]:
        turns = [(in_own_process(name, False), in_own_process(name, True)) for _ in range(TURNS)]
        plain, fast = (max(speeds) for speeds in zip(*turns, strict=True))  # the turn least disturbed
        rows.append({"student": name, "plain images/s": plain, "fast images/s": fast, "ratio": fast / plain})
    machine = f"{torch.get_num_threads()} threads, {processor_name()}, torch {torch.__version__}"
    notes = (
        "plain: float32, NCHW, glibc's default allocation. "
        f"fast: channels_last, {precision_of(CPU)}, freed memory kept.",
        f"batch {BATCH} of {SIDE}x{SIDE}, {machine}; median of {TIMED} steps, "
        f"the better of {TURNS} alternating processes",
    )
    table = Table(
        "speed.training",
        "training",
        "Training throughput",
        pd.DataFrame(rows),
        this_command(),
        code=code_of(MODULE),
        notes=notes,
    )
    for path in write_table(table, options.out):
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
