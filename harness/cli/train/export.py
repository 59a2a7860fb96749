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
        list[Path] | None,
        typer.Option(
            "--started-from",
            help="The run that this one began with: average its weights in. Again for what that one began with.",
        ),
    ] = None,
    share: Annotated[
        list[float] | None,
        typer.Option("--share", help="The share of those first weights, between 0 and 1; one for each."),
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

    runs, shares = started_from or [], share or []
    if len(runs) != len(shares):
        raise InputError(
            f"{len(runs)} --started-from and {len(shares)} --share (allowed: a share for each run that is averaged in)"
        )
    starts = [Start(*each) for each in zip(runs, shares, strict=True)]
    typer.echo(f"wrote {publish(run, model_id, models, starts, student)}")
