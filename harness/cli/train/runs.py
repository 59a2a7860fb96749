"""`harness runs`: training runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Out
from harness.cli.train import need_torch


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("runs")(runs)


def runs(
    folders: Annotated[list[Path], typer.Argument(help="Run folders.")],
    out: Out = Path("results/train"),
) -> None:
    """One table over training runs, with their curves.

    Example: `harness runs runs/v1-seed42 runs/v2-seed42 --out results/train`
    """
    need_torch()
    from harness.files import whole_file
    from harness.jobs.provenance import this_command
    from harness.locks import folder_held
    from harness.tables import write_table
    from train.publish import compare_runs

    with folder_held(out):
        for path in write_table(compare_runs(folders, this_command()), out):
            typer.echo(f"wrote {path}")
        for folder in folders:
            for name, suffix in (("curve.png", ".png"), ("history.jsonl", ".jsonl")):
                with whole_file(out / f"{folder.name}{suffix}") as part:
                    part.write_bytes((folder / name).read_bytes())
