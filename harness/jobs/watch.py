"""Which jobs run just now, for whoever shows it: asked for when it is wanted, so that it costs the work nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

from harness.jobs.job import Job

MOST_WORDS, LONGEST_WORD = 6, 40


@dataclass
class _Now:
    pending: Mapping[Future[Any], Sequence[Job]] = field(default_factory=dict)
    executor: Executor | None = None
    here: Sequence[Job] = ()


_now = _Now()


def follow(pending: Mapping[Future[Any], Sequence[Job]], executor: Executor | None) -> None:
    """From now on `running_jobs` looks at these batches, which may grow and shrink."""
    global _now
    _now = _Now(pending, executor)


def submitted(batch: Sequence[Job]) -> None:
    """A batch goes to the executor, which may be this process and then returns when it is done."""
    _now.here = batch


def running_jobs() -> list[str]:
    """A few words on each batch that an executor works on, oldest first; may be asked from any thread."""
    now = _now
    most = getattr(now.executor, "_max_workers", None)  # a pool calls the next one running too
    found = [label(batch) for future, batch in list(now.pending.items()) if future.running()]
    if not found and not now.pending and now.here:
        return [label(now.here)]
    return found[:most]


def label(batch: Sequence[Job]) -> str:
    """What a batch is about, from what decides its first job: names and numbers, no paths.

    >>> label([Job(len, {"clip": "dog", "frames_of": "/data/dog", "crf": 27, "steered": True})])
    'len dog 27'
    """
    first = batch[0]
    given = [str(value) for value in first.arguments.values() if _tells(value)]
    words = [first.batch] if first.batch else given[:MOST_WORDS]
    return " ".join([first.function.__name__.replace("_", " "), *words])


def _tells(value: Any) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= LONGEST_WORD and "/" not in value
    return isinstance(value, int | float) and not isinstance(value, bool)
