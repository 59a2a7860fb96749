"""Run jobs on an executor: what is stored is not computed, a killed worker's job is tried again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

from harness.errors import HarnessError
from harness.jobs.job import Job, in_batches, run_batch
from harness.jobs.store import Store
from harness.jobs.watch import follow, submitted

TRIES = 3
_LOST_WORKER = ("KilledWorker", "UncompletedJobError")  # dask's and submitit's, known by name: both are optional
Progress = Callable[[int, int], None]
Failed = Callable[[int, HarnessError], None]


def run_jobs(
    jobs: Sequence[Job],
    executor: Callable[[], Executor],
    store: Store | None = None,
    progress: Progress | None = None,
    failed: Failed | None = None,
) -> list[Any]:
    """The results of `stream_jobs`, in the order of `jobs`; None for those that `failed` heard of."""
    found = dict(stream_jobs(jobs, executor, store, progress, failed))
    return [found.get(place) for place in range(len(jobs))]


def stream_jobs(
    jobs: Sequence[Job],
    executor: Callable[[], Executor],
    store: Store | None = None,
    progress: Progress | None = None,
    failed: Failed | None = None,
) -> Iterator[tuple[int, Any]]:
    """Each job's place in `jobs` with its result, as they become known; equal jobs run once.

    Nothing is held back, so memory does not grow with the results.

    Args:
        jobs: What to do.
        executor: Makes an executor, anew after workers died; it is asked only when something has to be computed.
        store: Where results are kept, each as soon as it is there, and looked for first.
        progress: Hears (done, all), counting equal jobs once.
        failed: Hears the place of each job that fails, and why, while the others go on [default: the first ends all].

    Raises:
        HarnessError: When a job's worker dies `TRIES` times; in a pool that breaks, only those count that it died of
            while it had nothing else to do.
        Exception: What the first job raised that failed; what was done by then is stored. Faults of the program, which
            are no `HarnessError`, `failed` does not hear of.
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
    left, losses = set[str](), Counter[str]()

    def run(batches: list[list[Job]], ended: _Ended) -> Iterator[tuple[int, Any]]:
        try:
            for job, result in _attempt(batches, executor(), ended):
                store.save(job, result)
                del waiting[job.key]
                report(len(places) - len(waiting) - len(left), len(places))
                yield from ((place, result) for place in places[job.key])
        except HarnessError as error:
            raise type(error)(f"{error}{kept()}") from error

    def kept() -> str:
        done = len(places) - len(waiting) - len(left)
        where = f"; {done} of {len(places)} jobs are kept in {store.folder}, from where the same command goes on"
        return where if store.folder and done else ""

    def leave(job: Job, error: HarnessError) -> None:
        if failed is None:
            raise type(error)(f"{error}{kept()}") from error
        del waiting[job.key]
        left.add(job.key)
        for place in places[job.key]:
            failed(place, error)

    while waiting:
        ended = _Ended(failed is not None)
        yield from run(in_batches(list(waiting.values())), ended)
        if apart := [[job] for batch, _ in ended.failed if len(batch) > 1 for job in batch]:
            yield from run(apart, ended)
        for suspect in list(ended.suspects):  # one at a time: who kills its worker takes no other job along
            for _ in range(TRIES):
                lost = len(ended.lost)
                yield from run([suspect], ended)
                if len(ended.lost) == lost:
                    break
        losses.update(job.key for batch in ended.lost for job in batch)
        for batch, error in ended.failed:
            if len(batch) == 1:
                leave(batch[0], error)
        for job in [job for key, job in waiting.items() if losses[key] >= TRIES]:
            said = f"{job.name} {dict(job.arguments)} lost its worker {TRIES} times (out of memory?)"
            leave(job, HarnessError(said))


@dataclass
class _Ended:
    """Batches that did not end well: `failed` with their errors, for which a run that is not `going_on` stops at once.

    The worker of one that is `lost` died; of those that are `suspects` one killed the worker of all.
    """

    going_on: bool
    failed: list[tuple[list[Job], HarnessError]] = field(default_factory=list)
    lost: list[list[Job]] = field(default_factory=list)
    suspects: list[list[Job]] = field(default_factory=list)


def _attempt(batches: list[list[Job]], executor: Executor, ended: _Ended) -> Iterator[tuple[Job, Any]]:
    """Jobs with their results, as they finish; all others go to `ended` or, if they never began, stay missing."""
    pending: dict[Future[list[Any]], list[Job]] = {}
    broken: list[list[Job]] = []
    finished = False
    follow(pending, executor)
    try:
        try:
            for batch in batches:
                submitted(batch)
                future = executor.submit(run_batch, batch)
                pending[future] = batch
                if future.done():  # as in this process: kept at once, whatever comes after
                    yield from _outcome(future, pending, ended, broken)
        except BrokenProcessPool:
            pass  # those submitted say so themselves, the others stay missing
        for future in as_completed(list(pending)):
            yield from _outcome(future, pending, ended, broken)
        finished = True
    finally:
        follow({}, None)
        for future in pending:
            future.cancel()
        executor.shutdown(wait=finished)
    if len(batches) == 1:
        ended.lost += broken
    else:  # work is begun in order
        order = {id(batch): place for place, batch in enumerate(batches)}
        broken.sort(key=lambda batch: order[id(batch)])
        ended.suspects += broken[: getattr(executor, "_max_workers", 1)]


def _outcome(
    future: Future[list[Any]], pending: dict[Future[list[Any]], list[Job]], ended: _Ended, broken: list[list[Job]]
) -> Iterator[tuple[Job, Any]]:
    batch, error = pending.pop(future), future.exception()
    if error is None:
        yield from zip(batch, future.result(), strict=True)
    elif isinstance(error, BrokenProcessPool):
        broken.append(batch)
    elif type(error).__name__ in _LOST_WORKER:
        ended.lost.append(batch)
    elif ended.going_on and isinstance(error, HarnessError):
        ended.failed.append((batch, error))
    else:
        for other in list(pending):
            if other.done() and not other.cancelled() and other.exception() is None:
                yield from zip(pending.pop(other), other.result(), strict=True)
        raise error
