"""`harness parity`: the embedded extractor beside logs of a native one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.events import long
from harness.cli.options import AsJson, OptionalOut
from harness.cli.output import print_json, print_rows
from harness.cli.progress import progress, remark
from harness.errors import InputError

SHOWN = ("clip", "model", "frames", "frames_equal_as_printed", "max_abs_diff", "plcc")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("parity")(long(parity_command))


def parity_command(
    logs: Annotated[list[Path], typer.Option("--log", help="JSON log of a native libvmaf with mobilesal; repeatable.")],
    distorted: Annotated[list[str], typer.Option("--distorted", help="The clip that the log scored; one per log.")],
    models: Annotated[list[str], typer.Option("--model", help="What it used: registry id or .onnx; one per log.")],
    out: OptionalOut = None,
    as_json: AsJson = False,
) -> None:
    """Compare `saliency_mean` of native logs with the embedded extractor's, frame by frame.

    Where no libvmaf with mobilesal is installed, its logs from elsewhere still say whether both agree.

    Example: `harness parity --log native.json --distorted encode.mp4 --model saliency_student_v1`
    """
    from harness.jobs.provenance import this_command
    from harness.models.session import load_model
    from harness.studies.score.parity import Case, parity
    from harness.studies.score.tables import parity_table
    from harness.tables import json_records, write_table

    if not len(logs) == len(distorted) == len(models):
        raise InputError(f"{len(logs)} logs, {len(distorted)} clips, {len(models)} models (allowed: as many of each)")
    cases = [Case(log, clip, load_model(model)) for log, clip, model in zip(logs, distorted, models, strict=True)]
    with progress("reading", "clips") as report:
        rows = parity(cases, report)
    if as_json:
        print_json({"rows": json_records(rows)})
    else:
        print_rows(rows[list(SHOWN)], ".3g")
    if out:
        for path in write_table(parity_table(rows, cases, this_command()), out):
            remark(f"wrote {path}")
