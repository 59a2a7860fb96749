"""Run jobs on an executor: what is stored is not computed, a killed worker's job is tried again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from harness.errors import HarnessError
from harness.jobs.job import Job, run_job
from harness.jobs.store import Store

TRIES = 3
_LOST_WORKER = ("KilledWorker", "UncompletedJobError")  # dask's and submitit's, known by name: both are optional


def run_jobs(
    jobs: Sequence[Job],
    executor: Callable[[], Executor],
    store: Store | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Any]:
    """Results in the order of `jobs`; equal jobs run once.

    `executor` makes an executor, anew after workers died. `progress` hears (done, all). The first job that fails
    stops the run with its own error; what was done by then is stored. `HarnessError` when a job's worker dies
    `TRIES` times.
    """
    store = store or Store(None)
    todo = {job.key: job for job in jobs}
    results = {key: store.load(job) for key, job in todo.items() if job in store}
    report = progress or (lambda done, total: None)
    report(len(results), len(todo))
    for _ in range(TRIES):
        missing = [job for key, job in todo.items() if key not in results]
        if not missing:
            break
        _attempt(missing, executor(), store, results, lambda: report(len(results), len(todo)))
    lost = [job for key, job in todo.items() if key not in results]
    if lost:
        raise HarnessError(
            f"{len(lost)} jobs lost their worker {TRIES} times, the first is {lost[0].name} {dict(lost[0].arguments)}"
        )
    return [results[job.key] for job in jobs]


def _attempt(
    jobs: list[Job], executor: Executor, store: Store, results: dict[str, Any], report: Callable[[], None]
) -> None:
    futures: dict[Future[Any], Job] = {}
    finished = False

    def keep(future: Future[Any]) -> None:
        job = futures[future]
        if job.key not in results:
            results[job.key] = future.result()
            store.save(job, results[job.key])
            report()

    try:
        try:
            for job in jobs:
                futures[executor.submit(run_job, job)] = job
        except BrokenProcessPool:
            pass  # those submitted say so themselves, the others stay missing
        for future in as_completed(futures):
            error = future.exception()
            if error is None:
                keep(future)
            elif not (isinstance(error, BrokenProcessPool) or type(error).__name__ in _LOST_WORKER):
                for other in futures:
                    if other.done() and not other.cancelled() and other.exception() is None:
                        keep(other)
                raise error
        finished = True
    finally:
        if not finished:
            for future in futures:
                future.cancel()
        executor.shutdown(wait=finished)
