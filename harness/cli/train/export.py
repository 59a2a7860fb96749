"""`harness export`: a training run to the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import ModelFolder
from harness.cli.train import need_torch
from harness.errors import InputError


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("export")(export)


def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    model_id: Annotated[str, typer.Option("--id", help="Registry id, such as saliency_student_v1.")],
    averaged_with: Annotated[
        list[Path] | None,
        typer.Option(
            "--average-with",
            help="A run that this one began with, or that began where it did: average its best weights in; repeatable.",
        ),
    ] = None,
    share: Annotated[
        list[float] | None,
        typer.Option("--share", help="What share of the average those are, between 0 and 1; one for each run."),
    ] = None,
    student: Annotated[
        str | None,
        typer.Option("--student", help="Look at frames as this one does, with the run's weights: v5 for a run of v4."),
    ] = None,
    models: ModelFolder = None,
) -> None:
    """Publish a run's best epoch: ONNX file, sidecar and registry entry.

    Example: `harness export runs/v1-seed42 --id saliency_student_v1`

    Averaged with its start: `harness export runs/b --id saliency_student_b --average-with runs/a --share 0.4`
    """
    need_torch()
    from train.average import Part
    from train.publish import publish

    runs, shares = averaged_with or [], share or []
    if len(runs) != len(shares):
        raise InputError(
            f"{len(runs)} --average-with and {len(shares)} --share (allowed: a share for each run that is averaged in)"
        )
    parts = [Part(*each) for each in zip(runs, shares, strict=True)]
    typer.echo(f"wrote {publish(run, model_id, models, parts, student)}")
