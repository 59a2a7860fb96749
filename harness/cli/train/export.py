"""`harness export`: a training run to the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import ModelFolder
from harness.cli.train import need_torch


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("export")(export)


def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    model_id: Annotated[str, typer.Option("--id", help="Registry id, such as saliency_student_v1.")],
    models: ModelFolder = None,
) -> None:
    """Publish a run's best epoch: ONNX file, sidecar and registry entry.

    Example: `harness export runs/v1-seed42 --id saliency_student_v1`
    """
    need_torch()
    from train.publish import publish

    typer.echo(f"wrote {publish(run, model_id, models)}")
