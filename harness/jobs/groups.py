"""Jobs that belong together, such as all of one clip: either all of them have a result or none counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any

from harness.errors import HarnessError
from harness.jobs.job import Job
from harness.jobs.run import run_jobs
from harness.jobs.store import Store


class LeftOut(dict[str, str]):
    """Why something failed, by its name; `hear` is None where the first failure is to end the run."""

    def __init__(self, failed: Callable[[str, str], None] | None) -> None:
        super().__init__()
        self._failed = failed

    @property
    def hear(self) -> Callable[[str, str], None] | None:
        """What is told of a failure, `add`, where one may happen."""
        return self.add if self._failed else None

    def add(self, name: str, reason: str) -> None:
        """Keep a failure, and tell of it."""
        self[name] = reason
        if self._failed:
            self._failed(name, reason)


def run_groups(
    jobs: Sequence[Job],
    executor: Callable[[], Executor],
    store: Store | None = None,
    progress: Callable[[int, int], None] | None = None,
    failed: Callable[[str, str], None] | None = None,
    group: str = "name",
) -> dict[str, list[Any]]:
    """The results of `run_jobs` by the argument `group` of each job, in the order of `jobs`.

    `failed` hears the name of a group of which a job fails, and why, once; the group is left out and the others go on
    [default: the first failure ends the run]. Raises `HarnessError` when no group is left.
    """
    names = [str(job.arguments[group]) for job in jobs]
    lost = LeftOut(failed)

    def hear(place: int, error: HarnessError) -> None:
        if names[place] not in lost:
            lost.add(names[place], str(error))

    found: dict[str, list[Any]] = {}
    for name, result in zip(names, run_jobs(jobs, executor, store, progress, hear if failed else None), strict=True):
        if name not in lost:
            found.setdefault(name, []).append(result)
    if jobs and not found:
        name, reason = next(iter(lost.items()))
        raise HarnessError(f"none of {len(lost)} could be measured, the first is {name}: {reason}")
    return found
