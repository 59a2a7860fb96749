"""Where jobs run: here, in processes of this machine, on a dask cluster or under SLURM; all look like executors."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any

from harness.errors import InputError
from harness.jobs import slurm
from harness.jobs.dask import DaskExecutor
from harness.jobs.pools import process_pool

ALLOWED = "local, local:WORKERS, dask://HOST:PORT or slurm[:NAME=VALUE,…]"


class SerialExecutor(Executor):
    """Runs each call at once in this process: `local:1`, and the reference that every other executor must equal."""

    alone = True

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def executor_maker(text: str = "local", workers: int | None = None) -> Callable[[], Executor]:
    """Read `--executor`: `local`, `local:N`, `dask://host:port`, `slurm[:name=value,…]`, and give what opens it.

    Local workers are as many as `workers`, else as the CPUs this process may use. `InputError` says what is allowed.
    """
    kind, _, rest = text.partition(":")
    if kind == "local" and (not rest or (rest.isdecimal() and int(rest) > 0)):
        count = int(rest) if rest else workers or len(os.sched_getaffinity(0))
        return SerialExecutor if count == 1 else partial(process_pool, count)
    if kind == "dask" and rest.startswith("//") and rest.rpartition(":")[2].isdecimal():
        return partial(DaskExecutor, rest.removeprefix("//"))
    if kind == "slurm":
        asked = slurm.SlurmOptions.parse(rest)
        return partial(slurm.SubmititExecutor, tasks=asked.tasks, **asked.parameters)
    raise InputError(f"executor {text!r} (allowed: {ALLOWED})")


def open_executor(text: str = "local", workers: int | None = None) -> Executor:
    """Open what `executor_maker` reads; `InputError` or `HarnessError` where it cannot be."""
    return executor_maker(text, workers)()
