r"""What a shift of a student's logits does on the validation fold.

python -m benchmarks.shifts --run RUN --average-with FIRST --share 0.4 --student v5 --root /data/DUTS-TR

A student's class has `shift` and `scale` of its logits, chosen after training; the shift that ships is the one with the
highest IoU + max-F + S - MAE over all working sizes. Test sets stay unseen.
"""

from __future__ import annotations

import argparse
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
from train.students.frames import WholeFrame
from train.students.registry import build_student

SHIFTS = (-2.0, -1.75, -1.5, -1.25, -1.0, -0.75, -0.5)


def shifted(run: Path, parts: list[Part], look: str | None) -> dict[float, WholeFrame]:
    """The run's best weights, averaged with others' `parts` if any, once for each shift."""
    name = look or read_run(run).about["recipe"]["student"]
    found: dict[float, WholeFrame] = {}
    for shift in SHIFTS:
        student = build_student(name)
        if not isinstance(student, WholeFrame):
            raise SystemExit(f"{name} has no shift (allowed: v4, v5, the teacher)")
        load_best(student, run)
        if parts:
            average_with(student, run, parts)
        student.shift = shift
        found[shift] = student
        student.eval()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a training run")
    parser.add_argument("--average-with", type=Path, action="append", default=[], help="as `harness export` has it")
    parser.add_argument("--share", type=float, action="append", default=[], help="of each of those, as there")
    parser.add_argument("--student", help="look as this one does, with the same weights [default: the run's own]")
    parser.add_argument("--root", type=Path, help="where DUTS-TR lies")
    parser.add_argument("--out", type=Path, default=Path("results/train"))
    asked = parser.parse_args()
    if len(asked.average_with) != len(asked.share):
        parser.error("a share for each run that is averaged in")
    parts = [Part(*each) for each in zip(asked.average_with, asked.share, strict=True)]
    pairs = load_pairs("duts-tr", asked.root)
    _, held = validation_split(len(pairs))
    students = shifted(asked.run, parts, asked.student)
    sums = sums_over(students, [pairs[index] for index in held])
    rows = rows_of(sums, {shift: {"shift": shift, "scale": student.scale} for shift, student in students.items()})
    averaged = f", {', '.join(f'{part.share:g} of {part.run.name}' for part in parts)}" if parts else ""
    looks = f", as {asked.student} looks" if asked.student else ""
    notes = (
        f"{asked.run.name}{averaged}{looks}; {len(held)} pairs of the validation fold. together: IoU + max-F + S - "
        "MAE.",
    )
    table = Table(
        "train.shifts", "shifts", "Shifts of a student's logits", rows, this_command(),
        {run.name: sha256_of(run / "best.pt") for run in (asked.run, *asked.average_with)},
        {"duts-tr": content_digest(pairs)}, code_of("benchmarks.shifts"), notes=notes,
    )  # fmt: skip
    publish(table, asked.out)


if __name__ == "__main__":
    main()
