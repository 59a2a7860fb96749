r"""What lies between the weights of runs with a common origin, on the validation fold.

python -m benchmarks.averages --run results/train/v5-seed42 --with results/train/v4-seed42 --student v5 \
    --root /data/DUTS-TR

The shares that ship are those with the highest IoU + max-F + S - MAE over all working sizes;
`harness export --average-with --share` makes the file. Test sets stay unseen.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.fold import rows_of, sums_over
from benchmarks.publish import publish
from corpora.loader import content_digest, load_pairs
from harness.files import sha256_of
from harness.jobs.provenance import code_of, this_command
from harness.tables import Table
from train.average import Part, average_with
from train.data import validation_split
from train.history import load_best
from train.publish import read_run
from train.students.blocks import Student
from train.students.registry import build_student

STEPS = {1: 10, 2: 5}  # into how many parts the whole is shared, by the number of other runs
Shares = tuple[float, ...]


def shares_of(others: int, parts: int) -> Iterator[Shares]:
    """Every way to give `others` runs whole numbers of `parts`."""
    if others == 0:
        yield ()
        return
    for first in range(parts + 1):
        yield from ((first, *rest) for rest in shares_of(others - 1, parts - first))


def students_of(run: Path, others: Sequence[Path], look: str | None) -> dict[Shares, Student]:
    """The averages by the others' shares, and each run by itself."""
    name, whole = read_run(run).about["recipe"]["student"], STEPS[len(others)]
    found: dict[Shares, Student] = {}
    for counts in shares_of(len(others), whole):
        alone = others[counts.index(whole)] if whole in counts else None
        if sum(counts) == whole and alone is None:
            continue  # nothing of the run itself
        shares = tuple(count / whole for count in counts)
        student = build_student(look or name)
        load_best(student, alone or run)
        if 0 < sum(counts) < whole:
            average_with(student, run, [Part(*each) for each in zip(others, shares, strict=True)])
        found[shares] = student.eval()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a training run")
    parser.add_argument(
        "--with", type=Path, action="append", required=True, dest="others", help="one that is akin to it; repeatable"
    )
    parser.add_argument("--student", help="look as this one does, with the same weights [default: the run's own]")
    parser.add_argument("--root", type=Path, help="where DUTS-TR lies")
    parser.add_argument("--out", type=Path, default=Path("results/train"))
    asked = parser.parse_args()
    if len(asked.others) not in STEPS:
        parser.error(f"{len(asked.others)} other runs (allowed: 1 or 2)")
    runs = [run.name for run in (asked.run, *asked.others)]
    if len(set(runs)) < len(runs):
        parser.error(f"two runs are called {max(runs, key=runs.count)} (allowed: folders of different names)")
    pairs = load_pairs("duts-tr", asked.root)
    _, held = validation_split(len(pairs))
    students = students_of(asked.run, asked.others, asked.student)
    sums = sums_over(students, [pairs[index] for index in held])
    names = [f"share of {run.name}" for run in asked.others]
    rows = rows_of(sums, {shares: dict(zip(names, shares, strict=True)) for shares in students})
    looks = f"They look as {asked.student} does. " if asked.student else ""
    notes = (f"{looks}{len(held)} pairs of the validation fold. together: IoU + max-F + S - MAE.",)
    table = Table(
        "train.averages", "averages", "Between the weights of runs", rows,
        this_command(), {run.name: sha256_of(run / "best.pt") for run in (asked.run, *asked.others)},
        {"duts-tr": content_digest(pairs)}, code_of("benchmarks.averages"), notes=notes,
    )  # fmt: skip
    publish(table, asked.out)


if __name__ == "__main__":
    main()
