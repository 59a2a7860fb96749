"""What runs make of pictures that they were trained on, and of those that were held out.

python -m benchmarks.memorised --run results/train/v4-seed42 --run results/train/teacher-seed42 --out results/train

The gap says what would help: where it is wide, pictures; where it is narrow, a larger network or longer training. At
native size, by the validation fold and the first pictures of the shuffled rest, so that test sets stay unseen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from benchmarks.fold import numbers_of, sums_over
from benchmarks.publish import publish
from corpora.loader import content_digest, load_pairs
from harness.files import sha256_of
from harness.jobs.provenance import code_of, this_command
from harness.tables import Table
from train.data import validation_split
from train.distil import load_teacher

TRAINED_ON = 2000  # pictures differ: a mean IoU of 500 others moves by .007, of these by .003


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, action="append", required=True, help="a training run; repeatable")
    parser.add_argument("--root", type=Path, help="where DUTS-TR lies")
    parser.add_argument("--out", type=Path, default=Path("results/train"))
    asked = parser.parse_args()
    pairs = load_pairs("duts-tr", asked.root)
    kept, held = validation_split(len(pairs))
    parts = {"trained on": kept[:TRAINED_ON], "held out": held}
    rows = []
    for run in asked.run:
        student = load_teacher(run)
        if student.sides_multiple_of > 1:
            parser.error(f"{run} is of a student that does not take every size (allowed: runs of v3, v4, the teacher)")
        for part, places in parts.items():
            asked_for = [pairs[place] for place in places]
            sums = sums_over({part: student}, asked_for, ["native"])
            rows.append({"run": run.name, "pictures": part, "count": len(places), **numbers_of(sums["native", part])})
    table = Table(
        "train.memorised", "memorised", "Pictures trained on, and held out", pd.DataFrame(rows), this_command(),
        {run.name: sha256_of(run / "best.pt") for run in asked.run}, {"duts-tr": content_digest(pairs)},
        code_of("benchmarks.memorised"), notes=("Whole pictures of DUTS-TR at native size.",),
    )  # fmt: skip
    publish(table, asked.out)


if __name__ == "__main__":
    main()
