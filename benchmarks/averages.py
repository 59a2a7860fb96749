r"""What lies between the weights of a run and those that it began with, on the validation fold.

python -m benchmarks.averages --run results/train/v5-seed42 --started-from results/train/v4-seed42 --student v5 \
    --root /data/DUTS-TR

The share of the first weights that ships is the one with the highest `together`, IoU + max-F + S - MAE at native size;
`harness export --started-from --share` makes the file. Test sets stay unseen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from benchmarks.memorised import KEYS, sums_over
from benchmarks.publish import publish
from corpora.loader import content_digest, load_pairs
from harness import metrics
from harness.files import sha256_of
from harness.jobs.provenance import code_of, this_command
from harness.tables import Table
from train.average import Start, average_with
from train.data import validation_split
from train.history import load_best
from train.publish import read_run
from train.students.registry import build_student

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a run that began from another")
    parser.add_argument("--started-from", type=Path, required=True, help="that other")
    parser.add_argument("--student", help="look as this one does, with the same weights [default: the run's own]")
    parser.add_argument("--root", type=Path, help="where DUTS-TR lies")
    parser.add_argument("--out", type=Path, default=Path("results/train"))
    asked = parser.parse_args()
    about = read_run(asked.run).about
    pairs = load_pairs("duts-tr", asked.root)
    _, held = validation_split(len(pairs))
    rows = []
    for share in SHARES:
        student = build_student(asked.student or about["recipe"]["student"])
        load_best(student, asked.started_from if share == 1 else asked.run)
        if 0 < share < 1:
            average_with(student, Start(asked.started_from, share), about)
        numbers = metrics.headline(sums_over(student.eval(), [pairs[index] for index in held], f"{share}").means())
        iou, max_f, mae, s_measure = (float(numbers[key]) for key in KEYS)
        together = iou + max_f + s_measure - mae
        rows.append({"share of the first": share, **dict(zip(KEYS, (iou, max_f, mae, s_measure), strict=True))})
        rows[-1]["together"] = together
    looks = f"They look as {asked.student} does. " if asked.student else ""
    notes = (f"{looks}{len(held)} pairs of the validation fold at native size. together: IoU + max-F + S - MAE.",)
    table = Table(
        "train.averages", "averages", "Between a run's weights and those that it began with", pd.DataFrame(rows),
        this_command(), {run.name: sha256_of(run / "best.pt") for run in (asked.run, asked.started_from)},
        {"duts-tr": content_digest(pairs)}, code_of("benchmarks.averages"), notes=notes,
    )  # fmt: skip
    publish(table, asked.out)


if __name__ == "__main__":
    main()
