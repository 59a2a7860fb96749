"""Commands run in this process, as a user would type them."""

from __future__ import annotations

from typing import Any

from typer.testing import CliRunner

from harness.cli.app import application


def run(*words: object, **environment: str) -> Any:
    """`harness` with these words: exit code, output, and the exception that ended it, if one did."""
    typed = [str(word) for word in words]
    return CliRunner().invoke(application(typed), typed, env=environment)


def run_score(*words: object) -> Any:
    """`harness score` with these words."""
    return run("score", *words)
