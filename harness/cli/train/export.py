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
    started_from: Annotated[
        Path | None,
        typer.Option("--started-from", help="The run that this one began with: average its weights in."),
    ] = None,
    share: Annotated[
        float | None, typer.Option("--share", help="The share of those first weights, between 0 and 1.")
    ] = None,
    student: Annotated[
        str | None,
        typer.Option("--student", help="Look at frames as this one does, with the run's weights: v5 for a run of v4."),
    ] = None,
    models: ModelFolder = None,
) -> None:
    """Publish a run's best epoch: ONNX file, sidecar and registry entry.

    Example: `harness export runs/v1-seed42 --id saliency_student_v1`

    Averaged with its start: `harness export runs/b --id saliency_student_b --started-from runs/a --share 0.4`
    """
    need_torch()
    from train.average import Start
    from train.publish import publish

    if (started_from is None) != (share is None):
        raise InputError("an average needs both runs and how much of the first (allowed: --started-from with --share)")
    start = Start(started_from, share) if started_from is not None and share is not None else None
    typer.echo(f"wrote {publish(run, model_id, models, start, student)}")
