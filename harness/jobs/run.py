"""Run jobs on an executor: what is stored is not computed, a killed worker's job is tried again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from harness.errors import HarnessError
from harness.jobs.job import Job, in_batches, run_batch
from harness.jobs.store import Store
from harness.jobs.watch import follow, submitted

TRIES = 3
_LOST_WORKER = ("KilledWorker", "UncompletedJobError")  # dask's and submitit's, known by name: both are optional
Progress = Callable[[int, int], None]


def run_jobs(
    jobs: Sequence[Job],
    executor: Callable[[], Executor],
    store: Store | None = None,
    progress: Progress | None = None,
) -> list[Any]:
    """The results of `stream_jobs`, in the order of `jobs`."""
    found = dict(stream_jobs(jobs, executor, store, progress))
    return [found[place] for place in range(len(jobs))]


def stream_jobs(
    jobs: Sequence[Job],
    executor: Callable[[], Executor],
    store: Store | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[int, Any]]:
    """Each job's place in `jobs` with its result, as they become known; equal jobs run once.

    Nothing is held back, so memory does not grow with the results.

    Args:
        jobs: What to do.
        executor: Makes an executor, anew after workers died; it is asked only when something has to be computed.
        store: Where results are kept, each as soon as it is there, and looked for first.
        progress: Hears (done, all), counting equal jobs once.

    Raises:
        HarnessError: When a job's worker dies `TRIES` times.
        Exception: What the first job raised that failed; what was done by then is stored.
    """
    store, report = store or Store(None), progress or (lambda done, total: None)
    places: dict[str, list[int]] = {}
    for place, job in enumerate(jobs):
        places.setdefault(job.key, []).append(place)
    waiting = {key: jobs[own[0]] for key, own in places.items() if jobs[own[0]] not in store}
    report(len(places) - len(waiting), len(places))
    for key, own in places.items():
        if key in waiting:
            continue
        if found := store.load(jobs[own[0]]):
            yield from ((place, found.result) for place in own)
        else:
            waiting[key] = jobs[own[0]]
    for _ in range(TRIES if waiting else 0):
        for job, result in _attempt(list(waiting.values()), executor()):
            store.save(job, result)
            del waiting[job.key]
            report(len(places) - len(waiting), len(places))
            yield from ((place, result) for place in places[job.key])
        if not waiting:
            return
    if waiting:
        first = next(iter(waiting.values()))
        raise HarnessError(
            f"{len(waiting)} jobs lost their worker {TRIES} times (out of memory?), the first is {first.name} "
            f"{dict(first.arguments)}; what was done is kept, run again to resume"
        )


def _attempt(jobs: list[Job], executor: Executor) -> Iterator[tuple[Job, Any]]:
    """Jobs with their results, as they finish; those whose worker died are left out."""
    pending: dict[Future[list[Any]], list[Job]] = {}
    finished = False
    follow(pending, executor)
    try:
        try:
            for batch in in_batches(jobs):
                submitted(batch)
                future = executor.submit(run_batch, batch)
                pending[future] = batch
                if future.done():  # as in this process: kept at once, whatever comes after
                    yield from _outcome(future, pending)
        except BrokenProcessPool:
            pass  # those submitted say so themselves, the others stay missing
        for future in as_completed(list(pending)):
            yield from _outcome(future, pending)
        finished = True
    finally:
        follow({}, None)
        for future in pending:
            future.cancel()
        executor.shutdown(wait=finished)


def _outcome(future: Future[list[Any]], pending: dict[Future[list[Any]], list[Job]]) -> Iterator[tuple[Job, Any]]:
    batch, error = pending.pop(future), future.exception()
    if error is None:
        yield from zip(batch, future.result(), strict=True)
    elif not (isinstance(error, BrokenProcessPool) or type(error).__name__ in _LOST_WORKER):
        for other in list(pending):
            if other.done() and not other.cancelled() and other.exception() is None:
                yield from zip(pending.pop(other), other.result(), strict=True)
        raise error
