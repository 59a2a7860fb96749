"""The one progress display: a bar per stage on stderr, gone when the work is done, silent where nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from harness.cli.output import terminal


class Report(Protocol):
    """What a workflow with several stages calls as it goes; `total` is None where nobody knows."""

    def __call__(self, stage: str, done: int, total: int | None, values: Mapping[str, float] = {}) -> None: ...


@contextmanager
def stages() -> Iterator[Report]:
    """One bar per stage, shown from its first report on, with `values` beside it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    console = terminal(to_stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shown = TextColumn("{task.fields[values]}")
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, shown, console=console, transient=True, disable=not console.is_terminal) as bars:

        def report(stage: str, done: int, total: int | None, values: Mapping[str, float] = {}) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, values="")
            text = "  ".join(f"{key} {value:.4g}" for key, value in values.items())
            bars.update(tasks[stage], completed=done, total=total, values=text)

        yield report


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """One bar: yields `report(done, total)`."""
    with stages() as report:
        yield lambda done, total: report(what, done, total)
