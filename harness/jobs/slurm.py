"""Jobs under SLURM, by submitit: one array whose tasks do many jobs each, followed by one thread."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, InputError
from harness.jobs.worker import Unbegun

TASKS = 100  # of an array, where so many jobs are asked for: sites allow about 1,000 (MaxArraySize)
MOST_TASKS = 1000
USUAL: Mapping[str, str] = {"time": "4:00:00", "cpus-per-task": "2"}
FOLDER = Path(".harness-slurm")
LOOK_SECONDS = 1.0  # between two looks for results
ASK_SECONDS = 20.0  # between two questions to squeue
GONE_SECONDS = 60.0  # since a task left the queue: its result may still be on its way through a shared file system
ALLOWED = "slurm, or slurm:NAME=VALUE,… with tasks, parallel, or what sbatch takes: partition, account, mem, time …"
Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class SlurmOptions:
    """What `slurm:NAME=VALUE,…` asks for: how many tasks at most, how many of them at once, and flags of sbatch."""

    tasks: int = TASKS
    parallel: int = 256
    minutes: int = 240
    flags: Mapping[str, str | bool] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> SlurmOptions:
        """Read what follows `slurm:`; a comma ends a value where another name follows.

        >>> SlurmOptions.parse("partition=a,b,time=1-2,mem=4G,exclusive=").flags
        {'cpus-per-task': '2', 'partition': 'a,b', 'mem': '4G', 'exclusive': True}
        >>> SlurmOptions.parse("time=90").minutes
        90
        """
        given = dict(USUAL)
        seen: set[str] = set()
        for part in re.split(r",(?=[a-z-]+=)", text) if text else []:
            name, equals, value = part.partition("=")
            if not equals or not re.fullmatch(r"[a-z][a-z-]*", name) or name in seen or re.search(r"\s", value):
                raise InputError(f"executor slurm:{text}: {part!r} (allowed: {ALLOWED}; each once)")
            given[name] = value
            seen.add(name)
        tasks = _count("tasks", given.pop("tasks", str(TASKS)))
        parallel = _count("parallel", given.pop("parallel", "256"))
        return cls(tasks, parallel, _minutes(given.pop("time")), {name: value or True for name, value in given.items()})

    @property
    def parameters(self) -> dict[str, Any]:
        """As submitit takes them."""
        usual = {"timeout_min": self.minutes, "slurm_array_parallelism": self.parallel, "slurm_job_name": "harness"}
        return {**usual, "slurm_additional_parameters": dict(self.flags)}


def _count(name: str, text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_TASKS:
        raise InputError(f"executor slurm: {name}={text} (allowed: 1 to {MOST_TASKS})")
    return int(text)


def _minutes(text: str) -> int:
    """SLURM's ways to say a time: M, M:S, H:M:S, D-H, D-H:M and D-H:M:S; rounded up.

    >>> [_minutes(text) for text in ("90", "90:30", "4:00:00", "1-12", "1-0:30", "1-0:0:1")]
    [90, 91, 240, 2160, 1470, 1441]
    """
    match = re.fullmatch(r"(?:(\d{1,3})-)?(\d{1,5})(?::(\d{1,2}))?(?::(\d{1,2}))?", text)
    if not match:
        raise InputError(f"executor slurm: time={text} (allowed as sbatch has it: 90, 4:00:00, 1-12:00:00 …)")
    days, *rest = (int(part) if part else None for part in match.groups())
    first, second, third = rest
    if days is not None or third is not None:
        seconds = ((days or 0) * 24 + (first or 0)) * 3600 + (second or 0) * 60 + (third or 0)
    else:
        seconds = (first or 0) * 60 + (second or 0)
    if not seconds:
        raise InputError(f"executor slurm: time={text} (allowed: above 0)")
    return -(-seconds // 60)


class SubmititExecutor(Executor):
    """A `concurrent.futures` face on submitit; `cluster` is `slurm`, or `local` and `debug`, which run anywhere.

    Calls are collected until `flush` and sent as one array of at most `tasks` tasks, each of which does a share of
    them. A call's own error is its future's; the calls of a task that is lost fail by submitit's `UncompletedJobError`,
    though what their jobs kept stays kept. One thread follows all.
    """

    elsewhere = True

    def __init__(self, cluster: str = "slurm", folder: Path = FOLDER, tasks: int = TASKS, **parameters: Any) -> None:
        try:
            import submitit
        except ImportError as error:
            raise InputError("executor slurm needs submitit (pip install 'mobilesal-harness[slurm]')") from error
        self._folder = folder.absolute() / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{os.urandom(2).hex()}"
        try:
            self._inner = submitit.AutoExecutor(folder=str(self._folder), cluster=cluster)
        except RuntimeError as error:
            raise InputError(f"executor slurm: {error} (allowed where sbatch is on PATH)") from error
        self._inner.update_parameters(**parameters)
        self._cluster, self._tasks = cluster, tasks
        self._calls: list[tuple[Future[Any], Call]] = []
        self._running: dict[Any, list[Future[Any]]] = {}
        self._missed: dict[str, float] = {}  # tasks that squeue does not know, since when
        self._asked = time.monotonic()
        self._follower: threading.Thread | None = None
        self._end = threading.Event()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._calls.append((future, (function, args, kwargs)))
        return future

    def flush(self) -> None:
        """Send what was submitted since the last time; `HarnessError` where SLURM does not take it."""
        import submitit

        calls, self._calls = self._calls, []
        if not calls:
            return
        shares = [calls[start :: self._tasks] for start in range(min(self._tasks, len(calls)))]
        for future, _ in calls:
            future.set_running_or_notify_cancel()
        try:
            with self._inner.batch():
                sent = [
                    self._inner.submit(run_share, [call for _, call in share], self._mark(share[0][0]))
                    for share in shares
                ]
        except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
            raise HarnessError(f"SLURM refused the jobs: {_last_line(error)}") from error
        for job, share in zip(sent, shares, strict=True):
            self._running[job] = [future for future, _ in share]
        if not self._follower:
            self._follower = threading.Thread(target=self._follow, daemon=True)
            self._follower.start()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if wait:
            self.flush()
            if self._follower:
                self._follower.join()
            shutil.rmtree(self._folder, ignore_errors=True)  # after a failure it stays, for its logs
            return
        self._end.set()
        running = list(self._running)
        if self._cluster == "slurm" and running:
            subprocess.run(["scancel", *{job.job_id.partition("_")[0] for job in running}], capture_output=True)
        elif self._cluster != "slurm":
            for job in running:
                job.cancel()

    def _follow(self) -> None:
        while self._running and not self._end.is_set():
            gone = self._gone() if self._cluster == "slurm" else set()
            for job in list(self._running):
                if job.paths.result_pickle.exists() or job.job_id in gone or (self._cluster != "slurm" and job.done()):
                    self._tell(job, self._running.pop(job), job.job_id in gone)
            self._end.wait(LOOK_SECONDS)

    def _gone(self) -> set[str]:
        """Tasks without a result that left the queue a while ago; squeue is everywhere, accounts are not."""
        now = time.monotonic()
        if now - self._asked >= ASK_SECONDS:
            self._asked = now
            waiting = {job.job_id for job in self._running}
            arrays = ",".join({task.partition("_")[0] for task in waiting})
            asked = ["squeue", "--noheader", "--array", "--jobs", arrays, "--format", "%A %F_%K %i"]
            done = subprocess.run(asked, capture_output=True, text=True)
            if done.returncode == 0 or "Invalid job id" in done.stderr:
                queued = set(done.stdout.split())
                self._missed = {task: self._missed.get(task, now) for task in waiting - queued}
        return {task for task, since in self._missed.items() if now - since >= GONE_SECONDS}

    def _mark(self, first: Future[Any]) -> Path:
        return self._folder / f"at-{id(first)}"

    def _tell(self, job: Any, futures: list[Future[Any]], gone: bool) -> None:
        import submitit

        try:
            if gone and not job.paths.result_pickle.exists():
                raise submitit.core.utils.UncompletedJobError(f"task {job.job_id} left the queue without a result")
            outcomes = job.result()
        except submitit.core.utils.FailedJobError as failed:
            problem = HarnessError(
                f"SLURM task {job.job_id} failed: {_last_line(failed)} (its log: {job.paths.stderr})"
            )
            for future in futures:
                future.set_exception(problem)
            return
        except Exception as error:
            mark = self._mark(futures[0])
            at = int(mark.read_text() or 0) if mark.exists() else 0
            for place, future in enumerate(futures):  # one of them was at work, the others are not to blame
                future.set_exception(error if place == at else Unbegun())
            return
        for future, (result, raised) in zip(futures, outcomes, strict=True):
            if raised is None:
                future.set_result(result)
            else:
                future.set_exception(raised)


def run_share(calls: list[Call], mark: Path) -> list[tuple[Any, Exception | None]]:
    """What a task does: its calls one after the other, each with what came of it; `mark` says at which it is."""
    outcomes: list[tuple[Any, Exception | None]] = []
    for place, (function, args, kwargs) in enumerate(calls):
        mark.write_text(str(place))
        try:
            outcomes.append((function(*args, **kwargs), None))
        except Exception as error:
            outcomes.append((None, error))
    return outcomes


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next(
        (line for line in reversed(lines) if "error" in line.lower()), lines[-1] if lines else "no reason given"
    )
