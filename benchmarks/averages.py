r"""What lies between the weights of a run and those that it began with, on the validation fold.

python -m benchmarks.averages --run results/train/v5-seed42 --started-from results/train/v4-seed42 --student v5 \
    --root /data/DUTS-TR

A second --started-from is the run that the first one began with. The shares that ship are those with the highest
`together`, IoU + max-F + S - MAE at native size; `harness export --started-from --share` makes the file. Test sets stay
unseen.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from benchmarks.fold import numbers_of, sums_over, with_together
from benchmarks.publish import publish
from corpora.loader import content_digest, load_pairs
from harness.files import sha256_of
from harness.jobs.provenance import code_of, this_command
from harness.tables import Table
from train.average import Start, average_with
from train.data import validation_split
from train.history import load_best
from train.publish import read_run
from train.students.blocks import Student
from train.students.registry import build_student

STEPS = {1: 10, 2: 5}  # into how many parts the whole is shared, by the number of starts
NAMES = ("share of the first", "share of the first's first")
Shares = tuple[float, ...]


def shares_of(starts: int, parts: int) -> Iterator[Shares]:
    """Every way to give `starts` runs whole numbers of `parts`."""
    if starts == 0:
        yield ()
        return
    for first in range(parts + 1):
        yield from ((first, *rest) for rest in shares_of(starts - 1, parts - first))


def students_of(run: Path, starts: Sequence[Path], look: str | None) -> dict[Shares, Student]:
    """The averages by their shares, and each run by itself."""
    about, whole = read_run(run).about, STEPS[len(starts)]
    found: dict[Shares, Student] = {}
    for parts in shares_of(len(starts), whole):
        alone = starts[parts.index(whole)] if whole in parts else None
        if sum(parts) == whole and alone is None:
            continue  # nothing of the run itself
        shares = tuple(part / whole for part in parts)
        student = build_student(look or about["recipe"]["student"])
        load_best(student, alone or run)
        if 0 < sum(parts) < whole:
            average_with(student, [Start(*each) for each in zip(starts, shares, strict=True)], about)
        found[shares] = student.eval()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a run that began from another")
    parser.add_argument("--started-from", type=Path, action="append", required=True, help="that other; then its own")
    parser.add_argument("--student", help="look as this one does, with the same weights [default: the run's own]")
    parser.add_argument("--root", type=Path, help="where DUTS-TR lies")
    parser.add_argument("--name", default="averages", help="of the table")
    parser.add_argument("--out", type=Path, default=Path("results/train"))
    asked = parser.parse_args()
    if len(asked.started_from) not in STEPS:
        parser.error(f"{len(asked.started_from)} starts (allowed: 1 or 2)")
    pairs = load_pairs("duts-tr", asked.root)
    _, held = validation_split(len(pairs))
    students = students_of(asked.run, asked.started_from, asked.student)
    sums = sums_over(students, [pairs[index] for index in held])
    rows = [dict(zip(NAMES, shares, strict=False)) | with_together(numbers_of(found)) for shares, found in sums.items()]
    looks = f"They look as {asked.student} does. " if asked.student else ""
    notes = (f"{looks}{len(held)} pairs of the validation fold at native size. together: IoU + max-F + S - MAE.",)
    table = Table(
        "train.averages", asked.name, "Between a run's weights and those that it began with", pd.DataFrame(rows),
        this_command(), {run.name: sha256_of(run / "best.pt") for run in (asked.run, *asked.started_from)},
        {"duts-tr": content_digest(pairs)}, code_of("benchmarks.averages"), notes=notes,
    )  # fmt: skip
    publish(table, asked.out)


if __name__ == "__main__":
    main()
