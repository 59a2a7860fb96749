"""Commands run in this process."""

from __future__ import annotations

from click.testing import Result
from typer.testing import CliRunner

from harness.cli.app import app
from harness.cli.score import register

register(app)


def run_score(*args: object) -> Result:
    """`harness score` with these words."""
    return CliRunner().invoke(app, ["score", *map(str, args)])
