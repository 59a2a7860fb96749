"""The one place that shows how far a long command is: on a terminal, in a log, or as events for scripts."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from harness.cli.events import Shape, emit, shape

if TYPE_CHECKING:
    from rich.console import RenderableType

LINE_SECONDS = 30.0  # between two lines of a log
EVENT_SECONDS = 1.0  # between two events of a stage
WINDOW_SECONDS, FEW = 30.0, 6  # what a rate is over: so long, and at least so many reports
NARROW = 70  # columns
NAMED = 2  # running jobs in a line of a log


class Report(Protocol):
    """What a workflow with several stages calls as it goes; `total` is None where nobody knows."""

    def __call__(self, stage: str, done: int, total: int | None, values: Mapping[str, float] = {}) -> None: ...


@dataclass
class Stage:
    """How far one stage is, in its `unit`; `heard` are the newest reports, each as its time and what was done."""

    name: str
    unit: str
    done: int = 0
    total: int | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    heard: deque[tuple[float, int]] = field(default_factory=deque)
    began: float = field(default_factory=time.monotonic)

    def hear(self, done: int, total: int | None, values: Mapping[str, float]) -> None:
        """Take the newest report."""
        self.done, self.total, self.values = done, total, dict(values)
        self.heard.append((time.monotonic(), done))
        while len(self.heard) > FEW and self.last - self.heard[1][0] > WINDOW_SECONDS:
            self.heard.popleft()

    @property
    def last(self) -> float:
        """When the newest report came."""
        return self.heard[-1][0] if self.heard else self.began

    @property
    def finished(self) -> bool:
        """Whether all is done, where that is known."""
        return self.total is not None and self.done >= self.total

    @property
    def per_second(self) -> float | None:
        """Over the newest reports, so that what a rerun finds done soon counts no more; None until something is."""
        (began, first), (last, done) = self.heard[0], self.heard[-1]
        return (done - first) / (last - began) if done > first and last > began else None

    @property
    def seconds_left(self) -> float | None:
        """At that rate; None where the rate or the end is unknown, or it should have ended by now."""
        if self.finished:
            return 0.0
        if self.total is None or not (rate := self.per_second):
            return None
        left = (self.total - self.done) / rate - (time.monotonic() - self.last)
        return left if left > 0 else None

    @property
    def count(self) -> str:
        """Such as `1,200 of 5,019 images`."""
        of = "" if self.total is None else f" of {self.total:,}"
        return f"{self.done:,}{of} {self.unit}".rstrip()

    @property
    def speed(self) -> str:
        """Such as `83.2 images/s`; for slow work the time of one."""
        rate, one = self.per_second, self.unit.removesuffix("s") or "step"
        if rate is None:
            return ""
        return f"{rate:.3g} {self.unit}/s".replace(" /", "/") if rate >= 1 else f"{duration(1 / rate)} per {one}"

    @property
    def left(self) -> str:
        """Such as `3 min 20 s left`."""
        return "" if self.seconds_left is None or self.finished else f"{duration(self.seconds_left)} left"

    @property
    def shown(self) -> str:
        """The values that came with it."""
        return "  ".join(f"{key} {value:.4g}" for key, value in self.values.items())


def duration(seconds: float) -> str:
    """Seconds as people read them.

    >>> duration(0.25), duration(42), duration(200), duration(7500)
    ('0.2 s', '42 s', '3 min 20 s', '2 h 05 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


class _Silent:
    """`--quiet`, and what the others do alike: a thread that looks every now and then."""

    every: float | None = None

    def __init__(self) -> None:
        self.stages: dict[str, Stage] = {}
        self.running_since: dict[str, float] = {}
        self._over = threading.Event()
        self._lock = threading.RLock()

    def __enter__(self) -> _Silent:
        if self.every is not None:
            threading.Thread(target=self._watch, args=(self.every,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with self._lock:
            self.close()

    def hear(self, name: str, unit: str, done: int, total: int | None, values: Mapping[str, float]) -> None:
        """A report of the work."""
        with self._lock:
            new = name not in self.stages
            stage = self.stages.setdefault(name, Stage(name, unit))
            was = stage.finished and not new
            stage.hear(done, total, values)
            if new:
                self.begin(stage)
            if stage.finished and not was:
                self.end(stage)

    @property
    def open(self) -> list[Stage]:
        """Stages that are not done."""
        return [stage for stage in self.stages.values() if not stage.finished]

    def running(self) -> list[str]:
        """What runs just now; since when is kept."""
        from harness.jobs.watch import running_jobs

        names, now = running_jobs(), time.monotonic()
        self.running_since = {name: self.running_since.get(name, now) for name in names}
        return names

    def _watch(self, every: float) -> None:
        while not self._over.wait(every):
            with self._lock:
                self.look()

    def begin(self, stage: Stage) -> None:
        """Its first report came."""

    def look(self) -> None:
        """It is time to say something."""

    def end(self, stage: Stage) -> None:
        """All of it is done."""

    def close(self) -> None:
        """The work is over, done or not."""


class _Lines(_Silent):
    """A line about each open stage now and then; short work says nothing."""

    def __init__(self) -> None:
        self.every = LINE_SECONDS
        self.told: set[str] = set()
        super().__init__()

    def look(self) -> None:
        running = self.running()
        for stage in self.open[-1:]:
            self.told.add(stage.name)
            more = f" and {len(running) - NAMED} more" if len(running) > NAMED else ""
            at = f"running: {', '.join(running[:NAMED])}{more}" if running else ""
            self._say(stage, stage.count, stage.speed, stage.left, stage.shown, at)

    def end(self, stage: Stage) -> None:
        if stage.name in self.told:
            self._say(stage, stage.count, f"{duration(stage.last - stage.began)} in all")

    def _say(self, stage: Stage, *parts: str) -> None:
        from harness.cli.output import plain_line

        plain_line(f"{stage.name}: {', '.join(part for part in parts if part)}")


class _Events(_Silent):
    """`begin`, `progress` and `end` of every stage."""

    def __init__(self) -> None:
        self.every = EVENT_SECONDS
        self.told: dict[str, tuple[Any, ...]] = {}
        super().__init__()

    def begin(self, stage: Stage) -> None:
        emit("begin", stage=stage.name, unit=stage.unit, done=stage.done, total=stage.total)

    def look(self) -> None:
        running = self.running()
        for stage in self.open:
            now = (stage.done, stage.total, tuple(stage.values.items()), *running)
            if self.told.get(stage.name) != now:
                self.told[stage.name] = now
                self._progress(stage, running)

    def end(self, stage: Stage) -> None:
        self._progress(stage, [])
        seconds = round(stage.last - stage.began, 3)
        emit("end", stage=stage.name, unit=stage.unit, done=stage.done, total=stage.total, seconds=seconds)

    def close(self) -> None:
        for stage in self.open:
            seconds = round(stage.last - stage.began, 3)
            emit("end", stage=stage.name, unit=stage.unit, done=stage.done, total=stage.total, seconds=seconds)

    def _progress(self, stage: Stage, running: list[str]) -> None:
        rate, left = stage.per_second, stage.seconds_left
        emit(
            "progress",
            stage=stage.name,
            unit=stage.unit,
            done=stage.done,
            total=stage.total,
            per_second=None if rate is None else round(rate, 4),
            seconds_left=None if left is None else round(left, 1),
            values={key: value for key, value in stage.values.items() if abs(value) < float("inf")},
            running=running,
        )


class _Bars(_Silent):
    """A bar about each open stage and a line about each running job, gone when the work is done."""

    def __init__(self) -> None:
        from rich.live import Live

        from harness.cli.terminal import terminal

        super().__init__()
        self.console = terminal(to_stderr=True)
        self.live = Live(console=self.console, transient=True, get_renderable=self._drawn, refresh_per_second=5)

    def __enter__(self) -> _Silent:
        self.live.start()
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.live.stop()

    def _drawn(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        width = self.console.width
        with self._lock:
            stages = self.open or list(self.stages.values())[-1:]
            drawn = [self._wide(stages)] if width >= NARROW else [_narrow(stage) for stage in stages]
            names, now = self.running(), time.monotonic()
            jobs = [(name, f"  {duration(now - self.running_since[name])}") for name in names]
        room = max(1, self.console.height - len(stages) - 3)
        lines = [Text(f"  {_cut(name, width - len(took) - 3)}{took}", style="dim") for name, took in jobs[:room]]
        if len(jobs) > room:
            lines.append(Text(f"  and {len(jobs) - room} more", style="dim"))
        return Group(*drawn, *lines)

    def _wide(self, stages: list[Stage]) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Column, Table
        from rich.text import Text

        columns = [Column(no_wrap=True, ratio=ratio) for ratio in (1, None, None, None, None)]
        grid = Table.grid(*columns, padding=(0, 1, 0, 0))
        for stage in stages:
            bar = ProgressBar(stage.total, stage.done, width=20, pulse=stage.total is None)
            texts = (Text(text) for text in (stage.count, stage.speed, stage.left))
            grid.add_row(Text(stage.name, overflow="ellipsis"), bar, *texts)
            if stage.values:
                grid.add_row(Text(f"  {stage.shown}", style="dim"))
        return grid


def _narrow(stage: Stage) -> RenderableType:
    from rich.text import Text

    return Text(f"{stage.name}\n  {', '.join(part for part in (stage.count, stage.left) if part)}")


def _cut(text: str, width: int) -> str:
    """The end of a text that is too long: there jobs differ."""
    return text if len(text) <= width else f"…{text[len(text) - max(0, width - 1) :]}"


SHOWN = {Shape.BARS: _Bars, Shape.LINES: _Lines, Shape.JSON: _Events, Shape.NONE: _Silent}


@contextmanager
def stages(units: Mapping[str, str] = {}) -> Iterator[Report]:
    """Show stages from their first report on, with `values` beside them; `units` says what each counts, by its name."""
    with SHOWN[shape()]() as board:

        def report(stage: str, done: int, total: int | None, values: Mapping[str, float] = {}) -> None:
            board.hear(stage, units.get(stage, units.get("", "")), done, total, values)

        yield report


@contextmanager
def progress(what: str, unit: str = "") -> Iterator[Callable[[int, int], None]]:
    """One stage that counts in `unit`, such as images: yields `report(done, total)`."""
    with stages({what: unit}) as report:
        yield lambda done, total: report(what, done, total)


def remark(text: str) -> None:
    """What is good to know as the work goes on, and no warning: `--quiet` leaves it out."""
    if shape() is Shape.JSON:
        emit("note", text=text)
    elif shape() is not Shape.NONE:
        from harness.cli.output import plain_line

        plain_line(text, style="dim")
