"""How a command tells how far it is, as the user asked for it; as events, one JSON object a line on stderr."""

from __future__ import annotations

import functools
import inspect
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ParamSpec

import typer

from harness.cli.options import Progress, Quiet
from harness.errors import HarnessError, InputError

VERSION = 1  # of the events, which harness/schemas/event.schema.json describes


class Shape(StrEnum):
    """What `--progress` may say; `--quiet` is `none`."""

    AUTO = "auto"
    BARS = "bars"
    LINES = "lines"
    JSON = "json"
    NONE = "none"


@dataclass
class _Asked:
    shape: Shape = Shape.AUTO
    began: float = 0.0


_asked = _Asked()
_writing = threading.Lock()
P = ParamSpec("P")


def shape() -> Shape:
    """How progress is shown: as asked for, and where nothing was, bars on a terminal and lines in a log."""
    if _asked.shape is not Shape.AUTO:
        return _asked.shape
    from harness.cli.terminal import terminal

    return Shape.BARS if terminal(to_stderr=True).is_terminal else Shape.LINES


def emit(event: str, **content: Any) -> None:
    """Write one event on stderr: its name, seconds since the command began, and what it says."""
    told = {"version": VERSION, "event": event, "at": round(time.monotonic() - _asked.began, 3), **content}
    with _writing:
        print(json.dumps(told, ensure_ascii=False, allow_nan=False), file=sys.stderr, flush=True)


@contextmanager
def _asking(wanted: Shape) -> Iterator[None]:
    global _asked
    before, _asked = _asked, _Asked(wanted, time.monotonic())
    try:
        yield
    except HarnessError as error:
        if wanted is not Shape.JSON:
            raise
        emit("error", text=" ".join(str(error).split()), exit_code=error.exit_code)
        raise typer.Exit(error.exit_code) from error
    finally:
        _asked = before


def long(command: Callable[P, None]) -> Callable[P, None]:
    """Give a command that takes its time `--progress` and `--quiet`."""
    signature = inspect.signature(command, eval_str=True)
    own = inspect.signature(_declared, eval_str=True).parameters.values()

    @functools.wraps(command)
    def asked(*given: P.args, **named: P.kwargs) -> None:
        quiet, wanted = bool(named.pop("quiet")), str(named.pop("progress_shape"))
        if wanted not in tuple(Shape)[:-1]:
            raise InputError(f"--progress {wanted!r} (allowed: {', '.join(tuple(Shape)[:-1])})")
        if quiet and wanted != Shape.AUTO:
            raise InputError(f"--quiet beside --progress {wanted} (allowed: one of them)")
        with _asking(Shape.NONE if quiet else Shape(wanted)):
            command(*given, **named)

    asked.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *own])  # type: ignore[attr-defined]
    return asked


def _declared(*, progress_shape: Progress = "auto", quiet: Quiet = False) -> None:
    """The two options, as a command would declare them."""
