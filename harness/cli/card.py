"""`harness card`: a model's card from its file and its results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import ModelFolder
from harness.errors import InputError


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("card")(card)


def card(
    model: Annotated[str | None, typer.Argument(help="Registry id; only with --check all of them by default.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when the card is out of date.")] = False,
    models: ModelFolder = None,
    results: Annotated[
        Path | None, typer.Option("--results", help="Results folder [default: beside the model folder].")
    ] = None,
) -> None:
    """Write a model's card: every number in it stands in a results file.

    Example: `harness card saliency_student_v2`
    """
    from harness.models.card import check_card, check_cards, write_card

    if check:
        for path in [check_card(model, models, results)] if model else check_cards(models, results):
            typer.echo(f"up to date: {path}")
    elif model is None:
        raise InputError("no model named (allowed: a registry id, or --check for all registered models)")
    else:
        typer.echo(f"wrote {write_card(model, models, results)}")
