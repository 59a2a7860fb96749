"""Run jobs on an executor: what is stored is not computed, a killed worker's job is tried again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from harness.errors import HarnessError, InputError
from harness.jobs.job import Job, in_batches
from harness.jobs.store import Store
from harness.jobs.watch import follow, submitted
from harness.jobs.worker import Kept, Unbegun, work

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
        store: Where workers keep results, each as soon as it is there, and where they are looked for first.
        progress: Hears (done, all), counting equal jobs once.
        failed: Hears the place of each job that fails, and why, while the others go on [default: the first ends all].

    Raises:
        HarnessError: When a job's worker dies `TRIES` times; in a pool that breaks, only those count that it died of
            while it had nothing else to do. When the executor is lost, a worker has other code or other libraries, or
            the store cannot be used.
        InputError: For a store that the executor's workers would not see.
        Exception: What the first job raised that failed; what was done by then is stored. Faults of the program, which
            are no `HarnessError`, `failed` does not hear of.
    """
    store, report = store or Store(None), progress or (lambda done, total: None)
    places: dict[str, list[int]] = {}
    for place, job in enumerate(jobs):
        places.setdefault(job.key, []).append(place)
    waiting = {key: jobs[own[0]] for key, own in places.items()}
    present = store.present(waiting.values())
    report(len(present), len(places))

    def found(jobs: list[Job]) -> Iterator[tuple[int, Any]]:
        for job, stored in store.load_all(jobs):
            del waiting[job.key]
            yield from ((place, stored.result) for place in places[job.key])

    yield from found([job for key, job in waiting.items() if key in present])
    if waiting:
        store.check()
    left, losses = set[str](), Counter[str]()

    def run(batches: list[list[Job]], ended: _Ended) -> Iterator[tuple[int, Any]]:
        try:
            for job, result in _kept(_attempt(batches, _able(executor(), store), store, ended), store):
                del waiting[job.key]
                report(len(places) - len(waiting) - len(left), len(places))
                yield from ((place, result) for place in places[job.key])
        except HarnessError as error:
            raise type(error)(f"{error}{kept()}") from error

    def kept() -> str:
        done = len(places) - len(waiting) - len(left)
        with suppress(HarnessError):
            done += len(store.present(waiting.values()))  # what workers kept and could not tell
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
        yield from found(list(waiting.values()))  # what workers kept that were lost afterwards


@dataclass
class _Ended:
    """Batches that did not end well: `failed` with their errors, for which a run that is not `going_on` stops at once.

    The worker of one that is `lost` died; of those that are `suspects` one killed the worker of all.
    """

    going_on: bool
    failed: list[tuple[list[Job], HarnessError]] = field(default_factory=list)
    lost: list[list[Job]] = field(default_factory=list)
    suspects: list[list[Job]] = field(default_factory=list)


def _able(executor: Executor, store: Store) -> Executor:
    """`InputError` where the executor's workers would not see the store."""
    if store.across or getattr(executor, "alone", False):
        return executor
    executor.shutdown(wait=False)
    raise InputError(f"store {store.folder} is of one process (allowed with others: a folder, s3://BUCKET/PREFIX …)")


def _kept(found: Iterable[tuple[Job, Kept]], store: Store) -> Iterator[tuple[Job, Any]]:
    """Results that are kept by now: a worker may have been unable to, or have a folder of that name to itself."""
    for job, (result, kept) in found:
        if not kept or (store.at_hand and job not in store):
            result = store.save(job, result)
        yield job, result


def _attempt(batches: list[list[Job]], executor: Executor, store: Store, ended: _Ended) -> Iterator[tuple[Job, Kept]]:
    """Jobs with their results, as they finish; all others go to `ended` or, if they never began, stay missing."""
    pending: dict[Future[list[Kept]], list[Job]] = {}
    ready: SimpleQueue[Future[list[Kept]]] = SimpleQueue()
    elsewhere, window = getattr(executor, "elsewhere", False), getattr(executor, "window", len(batches) + 1)
    broken: list[list[Job]] = []
    finished = False
    follow(pending, executor)
    try:
        try:
            for batch in batches:
                submitted(batch)
                future = executor.submit(work, batch, store, elsewhere)
                pending[future] = batch
                future.add_done_callback(ready.put)
                while pending and (len(pending) >= window or not ready.empty()):
                    yield from _outcome(ready.get(), pending, ended, broken)
        except BrokenProcessPool:
            pass  # those submitted say so themselves, the others stay missing
        getattr(executor, "flush", lambda: None)()
        while pending:
            yield from _outcome(ready.get(), pending, ended, broken)
        finished = True
    finally:
        follow({}, None)
        for future in list(pending):
            future.cancel()
        executor.shutdown(wait=finished)
    if len(batches) == 1:
        ended.lost += broken
    else:  # work is begun in order
        order = {id(batch): place for place, batch in enumerate(batches)}
        broken.sort(key=lambda batch: order[id(batch)])
        ended.suspects += broken[: getattr(executor, "_max_workers", 1)]


def _outcome(
    future: Future[list[Kept]], pending: dict[Future[list[Kept]], list[Job]], ended: _Ended, broken: list[list[Job]]
) -> Iterator[tuple[Job, Kept]]:
    batch, error = pending.pop(future), future.exception()
    if error is None:
        yield from zip(batch, future.result(), strict=True)
    elif isinstance(error, BrokenProcessPool):
        broken.append(batch)
    elif isinstance(error, Unbegun):
        pass
    elif type(error).__name__ in _LOST_WORKER:
        ended.lost.append(batch)
    elif ended.going_on and isinstance(error, HarnessError):
        ended.failed.append((batch, error))
    else:
        for other in list(pending):
            if other.done() and not other.cancelled() and other.exception() is None:
                yield from zip(pending.pop(other), other.result(), strict=True)
        raise error
