"""Jobs that belong together, such as all of one clip: either all of them have a result or none counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any

from harness.errors import HarnessError
from harness.jobs.job import Job
from harness.jobs.run import run_jobs
from harness.jobs.store import Store


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
    lost: dict[str, str] = {}

    def hear(place: int, error: HarnessError) -> None:
        assert failed
        if names[place] not in lost:
            lost[names[place]] = str(error)
            failed(names[place], str(error))

    found: dict[str, list[Any]] = {}
    for name, result in zip(names, run_jobs(jobs, executor, store, progress, hear if failed else None), strict=True):
        if name not in lost:
            found.setdefault(name, []).append(result)
    if jobs and not found:
        name, reason = next(iter(lost.items()))
        raise HarnessError(f"none of {len(lost)} could be measured, the first is {name}: {reason}")
    return found
