"""What further looks at a picture would give a student that looks once, and what they cost.

python -m benchmarks.looks --run results/train/v4-seed42 --root /data/DUTS-TR --out results/train

The maps of several looks are averaged: of the picture and of its mirror image, each at a working size of its own.
Measured on the validation fold at native size, so that test sets stay unseen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.progress import track

from benchmarks.fold import numbers_of
from benchmarks.publish import publish
from corpora.loader import content_digest, load_pairs
from harness import metrics
from harness.files import sha256_of
from harness.jobs.provenance import code_of, this_command
from harness.media.pictures import read_mask, read_rgb
from harness.metrics import Sample, Sums
from harness.tables import Table
from train.batches import normalised
from train.data import validation_split
from train.history import load_best
from train.publish import read_run
from train.students.blocks import Student
from train.students.frames import WholeFrame, steps_of
from train.students.registry import build_student
from train.students.v3 import WORKING_SIDE, resized

LOOKS = (
    *("256", "288", "320", "256 256m", "256 192m", "256 224m", "288 224m", "256 320m", "320 256m"),
    "192 192m 224 224m 256 256m 288 288m 320 320m",
)
"""Working sizes of the looks, `m` behind a mirrored one."""
Look = tuple[int, bool]


def looks_of(text: str) -> tuple[Look, ...]:
    """Each look's working size, and whether it is a mirrored one."""
    return tuple((int(look.rstrip("m")), look.endswith("m")) for look in text.split())


def map_of(student: WholeFrame, picture: torch.Tensor, look: Look) -> torch.Tensor:
    """The map `[1, 1, S, S]` that one look at `picture` `[1, 3, H, W]` gives, at its working size."""
    side, mirrored = look
    seen = steps_of(picture.double(), 1, side).float()
    return student.map_of(seen.flip(3)).flip(3) if mirrored else student.map_of(seen)


def averaged(maps: list[torch.Tensor], size: tuple[int, int]) -> np.ndarray:
    """The mean of maps of several sizes at `size`, float32 `[H, W]`."""
    largest = max(map_.shape[2] for map_ in maps)
    mean = torch.stack([resized(map_, (largest, largest)) for map_ in maps]).mean(0)
    return resized(mean, size)[0, 0].clamp(0, 1).numpy()


def sums_over(student: WholeFrame, pairs: list, asked: dict[str, tuple[Look, ...]]) -> dict[str, Sums]:
    """What each row's looks sum to over `pairs`; every look is taken once."""
    found = {text: Sums() for text in asked}
    for pair in track(pairs, "looking"):
        picture, mask = normalised(torch.from_numpy(read_rgb(pair.image)[None])), read_mask(pair.mask)
        each = {look: map_of(student, picture, look) for look in {look for looks in asked.values() for look in looks}}
        for text, looks in asked.items():
            sample = Sample.of(averaged([each[look] for look in looks], mask.shape), mask)
            found[text] += Sums.of(metrics.reading(sample))
    return found


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--run", type=Path, required=True, help="a training run of a student whose working size can be chosen"
    )
    parser.add_argument("--root", type=Path, help="where DUTS-TR lies")
    parser.add_argument("--looks", action="append", help='such as "256 256m"; repeatable')
    parser.add_argument("--out", type=Path, default=Path("results/train"))
    asked = parser.parse_args()
    name = read_run(asked.run).about["recipe"]["student"]
    student: Student = build_student(name)
    if not isinstance(student, WholeFrame):
        parser.error(f"{name} has no working size that could be chosen (allowed: a run of v4, v5 or the teacher)")
    load_best(student, asked.run)
    pairs = load_pairs("duts-tr", asked.root)
    _, held = validation_split(len(pairs))
    wanted = {text: looks_of(text) for text in asked.looks or LOOKS}
    rows = []
    for text, sums in sums_over(student.eval(), [pairs[index] for index in held], wanted).items():
        cost = sum((side / WORKING_SIDE) ** 2 for side, _ in wanted[text])
        rows.append({"looks": text, "convolutions": cost, **numbers_of(sums)})
    notes = (
        f"{name}, {len(held)} pairs of the validation fold at native size; m is a mirrored look.",
        f"convolutions: how many times those of one look at {WORKING_SIDE}x{WORKING_SIDE}.",
    )
    table = Table(
        "train.looks", "looks", "What further looks would give", pd.DataFrame(rows), this_command(),
        {asked.run.name: sha256_of(asked.run / "best.pt")}, {"duts-tr": content_digest(pairs)},
        code_of("benchmarks.looks"), notes=notes,
    )  # fmt: skip
    publish(table, asked.out)


if __name__ == "__main__":
    main()
