"""The `harness` command: every sub-command is one module here that parses, calls one workflow and prints."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated

import typer
from rich.console import Console

from harness import __version__
from harness.errors import HarnessError

# Command groups in the order that --help shows, each with the module of this package that registers it.
COMMANDS: dict[str, str] = {
    "demo": "demo",
    "doctor": "doctor",
    "corpora": "corpora",
    "train": "train",
    "export": "train",
    "validate": "train",
    "runs": "train",
    "eval": "eval",
    "score": "score",
    "parity": "parity",
    "roi-encode": "roi_encode",
    "roi-sweep": "roi_sweep",
    "gate": "gate",
    "report": "report",
    "card": "card",
    "registry": "registry",
}

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


def load_commands(asked: list[str]) -> None:
    """Register the module of the command asked for; all of them for help, completion and unknown words."""
    wanted = [COMMANDS[name] for name in asked if name in COMMANDS] or list(dict.fromkeys(COMMANDS.values()))
    for module in wanted:
        import_module(f"harness.cli.{module}").register(app)


def main() -> None:
    """Run the command line; a usage error or `HarnessError` becomes one line on stderr and its exit code."""
    load_commands(sys.argv[1:2])
    try:
        sys.exit(app(prog_name="harness", standalone_mode=False))
    except typer.TyperException as error:
        message, context = error.format_message(), getattr(error, "ctx", None)
        if message:  # else nothing was asked for and the help is on the screen
            _complain(f"{message.rstrip('.')} (see: {context.command_path} --help)" if context else message)
        sys.exit(error.exit_code)
    except HarnessError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _complain(message: str) -> None:
    line = " ".join(message.split())
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"harness: {line}", markup=False)
