"""Where jobs run: here, in processes of this machine, on a dask cluster or under SLURM; all look like executors."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, InputError
from harness.jobs.pools import process_pool

ALLOWED = "local, local:WORKERS, dask://HOST:PORT or slurm"
ANSWER_SECONDS = 10


class SerialExecutor(Executor):
    """Runs each call at once in this process: `local:1`, and the reference that every other executor must equal."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class SubmititExecutor(Executor):
    """A `concurrent.futures` face on submitit; `cluster` is `slurm`, or `local` and `debug`, which run anywhere."""

    def __init__(self, cluster: str | None = "slurm", folder: Path = Path(".harness-slurm"), **parameters: Any) -> None:
        try:
            import submitit
        except ImportError as error:
            raise InputError("executor slurm needs submitit (pip install 'mobilesal-harness[slurm]')") from error
        try:
            self._inner = submitit.AutoExecutor(folder=str(folder), cluster=cluster)
        except RuntimeError as error:
            raise InputError(f"executor slurm: {error} (allowed where sbatch is on PATH)") from error
        self._inner.update_parameters(**parameters)
        self._jobs: list[Any] = []

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        job = self._inner.submit(function, *args, **kwargs)
        self._jobs.append(job)
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        threading.Thread(target=_follow, args=(job, future), daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for job in self._jobs:
            if not wait and not job.done():
                job.cancel()


def _follow(job: Any, future: Future[Any]) -> None:
    try:
        future.set_result(job.result())
    except BaseException as error:
        future.set_exception(error)


def open_executor(text: str = "local", workers: int | None = None) -> Executor:
    """Read `--executor`: `local`, `local:N`, `dask://host:port`, `slurm`; `InputError` says what is allowed.

    Local workers are as many as `workers`, else as the CPUs this process may use.
    """
    kind, _, rest = text.partition(":")
    if kind == "local" and (not rest or (rest.isdecimal() and int(rest) > 0)):
        count = int(rest) if rest else workers or len(os.sched_getaffinity(0))
        if count == 1:
            return SerialExecutor()
        return process_pool(count)
    if kind == "dask" and rest.startswith("//"):
        return _dask(rest.removeprefix("//"))
    if text == "slurm":
        return SubmititExecutor(timeout_min=240, cpus_per_task=2)
    raise InputError(f"executor {text!r} (allowed: {ALLOWED})")


def _dask(address: str) -> Executor:
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError("executor dask needs distributed (pip install 'mobilesal-harness[dask]')") from error
    try:
        client = Client(f"tcp://{address}", timeout=ANSWER_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise HarnessError(f"no dask scheduler answers at {address} within {ANSWER_SECONDS} s") from error
    executor: Executor = client.get_executor(pure=False)
    end = executor.shutdown

    def shutdown(wait: bool = True, **options: bool) -> None:
        end(wait=wait, **options)
        client.close()  # the executor leaves it open, and it would go on looking for a scheduler that has ended

    executor.shutdown = shutdown  # type: ignore[method-assign]
    return executor
