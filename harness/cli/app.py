"""The `harness` command: every sub-command is one module here, of its name, that parses, calls one function, prints."""

from __future__ import annotations

import io
import os
import pkgutil
import resource
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.signals import stoppable
from harness.errors import HarnessError, InputError
from harness.version import __version__

# Modules of this package that are no command
SHARED = (
    "app",
    "complete",
    "events",
    "failures",
    "options",
    "output",
    "progress",
    "project",
    "signals",
    "survey",
    "terminal",
)
VERSION = "--version"
HELP = {"-h", "--help"}
LONGEST_LINE = 2000
LEAST_MEMORY = 1 << 30


def _found(folder: Path, prefix: str = "") -> dict[str, str]:
    modules = [found.name for found in pkgutil.iter_modules([str(folder)]) if not found.ispkg]
    return {name.replace("_", "-"): prefix + name for name in sorted(modules) if name not in SHARED}


COMMANDS = _found(Path(__file__).parent) | _found(Path(__file__).parent / "train", "train.")
"""Commands and groups by name, each with the module of this package that registers it."""


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"harness {__version__}")
        raise typer.Exit()


def _root(
    version: Annotated[
        bool, typer.Option(VERSION, help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Train, evaluate, score, ROI-encode and gate the mobilesal saliency students."""


def application(asked: Sequence[str] = ()) -> typer.Typer:
    """The command line with the command that `asked` begins with; with all for help, completion and unknown words."""
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    first = asked[0] if asked else ""
    for module in [COMMANDS[first]] if first in COMMANDS else COMMANDS.values():
        if first != VERSION:
            import_module(f"harness.cli.{module}").register(app)
    return app


def whole_application() -> Any:
    """The click group with every command in it."""
    return typer.main.get_command(application())


def main() -> None:
    """Run the command line; a usage error, a `HarnessError`, a full disk or a signal becomes one line on stderr.

    The exit code is the error's; after a signal it is 128 and the signal's number, as a shell has it.
    """
    _keep_to_our_cache()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name need not be text
    code = 1
    with stoppable() as stop:
        code = _run()
    if stop.number is not None:
        _complain(f"{stop.name}: what is whole was kept, nothing else was left")
        code = 128 + stop.number
    sys.exit(code)


def _run() -> int:
    try:
        _refuse_too_little_memory()
        app = application(_typed()[1:2])
        code = int(app(prog_name="harness", standalone_mode=False, default_map=_defaults(app)) or 0)
        sys.stdout.flush()
        return code
    except typer.TyperException as error:
        message, context = error.format_message(), getattr(error, "ctx", None)
        if message:  # else nothing was asked for and the help is on the screen
            _complain(f"{message.rstrip('.')} (see: {context.command_path} --help)" if context else message)
        return error.exit_code
    except HarnessError as error:
        _complain(str(error))
        return error.exit_code
    except typer.Abort:
        _complain("no answer came")
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _leave_stdout()
    except OSError as error:
        _complain(f"{error.filename or 'standard output'}: {error.strerror or error}")
        _leave_stdout()
    except MemoryError as error:
        _complain(f"out of memory: {error}" if str(error) else "out of memory")
    return 1


def _typed() -> list[str]:
    """The words of the command line; of the one that a shell asks to complete, once its command is whole."""
    words = os.environ.get("COMP_WORDS", "").split() if "_HARNESS_COMPLETE" in os.environ else sys.argv
    return words if len(words) > 2 or words is sys.argv else []


def _refuse_too_little_memory() -> None:
    """`InputError` below what the libraries need to load: OpenBLAS would try for ever, deaf to signals."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if 0 <= limit < LEAST_MEMORY and not HELP & set(sys.argv):
        raise InputError(f"memory is limited to {limit >> 20} MiB, by ulimit -v perhaps (allowed: 1 GiB or more)")


def _defaults(app: typer.Typer) -> dict[str, Any] | None:
    """What the project file sets for the command that is asked for; a word on stderr says so."""
    if sys.argv[1:2] in ([], ["config"]) or sys.argv[1] not in COMMANDS or HELP & set(sys.argv):
        return None
    from harness.cli.project import defaults, find_project_file, settings

    project = find_project_file()
    if project is None:
        return None
    group = typer.main.get_command(app)
    found = [one for one in settings(project, group, COMMANDS) if not one.overruled]
    if found:
        _complain(f"{project.path} sets {', '.join(sorted({f'--{one.option}' for one in found}))} (harness config)")
    return defaults(found, group)


def _leave_stdout() -> None:
    """Python would try once more to write at its end, and fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _keep_to_our_cache() -> None:
    """Matplotlib's list of fonts goes beside what else harness keeps, unless the user has a place for it."""
    home = os.environ.get("HOME")
    if cache := os.environ.get("XDG_CACHE_HOME") or (home and f"{home}/.cache"):
        os.environ.setdefault("MPLCONFIGDIR", f"{cache}/harness/matplotlib")


def _complain(message: str) -> None:
    from harness.cli.output import say

    line = " ".join(message.split()).encode(errors="backslashreplace").decode()
    if len(line) > LONGEST_LINE:  # an error may quote a file that is one endless word
        line = f"{line[: LONGEST_LINE // 2]} … {line[-LONGEST_LINE // 2 :]}"
    say(f"harness: {line}", to_stderr=True)
