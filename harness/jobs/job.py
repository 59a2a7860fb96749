"""One piece of work whose result depends on nothing but its code, its arguments and the files it reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness.jobs.priority import same_priority
from harness.jobs.provenance import made_by


@dataclass(frozen=True)
class Job:
    """Call `function(**arguments, **aside)`; equal jobs have equal keys, wherever their files lie.

    Attributes:
        function: Importable by name, so that another process can find it. Its result is JSON, with NumPy arrays in it
            if need be.
        arguments: What decides the result, as JSON.
        inputs: The digests of whatever it reads, by name.
        aside: Further arguments that decide nothing beside `inputs`, picklable: where files lie, how many threads.
        batch: Jobs of one function with one label run in one call, which shares what they read: the function then gets
            a list of keyword arguments and returns a list of results.
    """

    function: Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    aside: Mapping[str, Any] = field(default_factory=dict)
    batch: str | None = None

    @property
    def name(self) -> str:
        """The function's importable name."""
        return f"{self.function.__module__}:{self.function.__qualname__}"

    @property
    def content(self) -> dict[str, Any]:
        """Everything that decides the result."""
        return {
            "function": self.name,
            "arguments": dict(self.arguments),
            "inputs": dict(self.inputs),
            **self.made_by,
        }

    @cached_property
    def made_by(self) -> Mapping[str, Any]:
        """Of the content, what the process that made the job brings along: the code's digest and versions; a worker
        keeps it."""
        return made_by(self.function.__module__)

    @cached_property
    def key(self) -> str:
        """SHA-256 of the content: equal jobs have equal keys, on any machine, whatever their arguments' order."""
        canonical = json.dumps(self.content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def call(self) -> dict[str, Any]:
        """What the function is given."""
        return {**self.arguments, **self.aside}

    def run(self) -> Any:
        """Do the work here and now."""
        return self.function(**self.call) if self.batch is None else self.function([self.call])[0]


def in_batches(jobs: Iterable[Job]) -> list[list[Job]]:
    """Jobs that run in one call together, in order of the first of each."""
    found: dict[tuple[Any, ...], list[Job]] = {}
    for place, job in enumerate(jobs):
        label = (place,) if job.batch is None else (job.name, job.batch)
        found.setdefault(label, []).append(job)
    return list(found.values())


def run_batch(jobs: Sequence[Job]) -> list[Any]:
    """What a worker executes: the results of one of `in_batches`."""
    with same_priority():
        if len(jobs) == 1:
            return [jobs[0].run()]
        return list(jobs[0].function([job.call for job in jobs]))
