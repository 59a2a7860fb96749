"""The `harness` command: every sub-command is one module here that parses, calls one workflow and prints."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from rich.console import Console

from harness import __version__
from harness.errors import HarnessError

COMMANDS: tuple[str, ...] = (
    "corpora",
    "train",
    "eval",
    "score",
    "gate",
    "registry",
)  # modules of this package, in the order that --help shows

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="markdown")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"harness {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Train, evaluate, score, ROI-encode and gate the mobilesal saliency students."""


def main() -> None:
    """Run the command line; a `HarnessError` becomes one line on stderr and its exit code."""
    from importlib import import_module

    for name in COMMANDS:
        import_module(f"harness.cli.{name}").register(app)
    try:
        app()
    except HarnessError as error:
        message = " ".join(str(error).split())
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"harness: {message}", markup=False)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
