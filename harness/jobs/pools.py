"""The one place that starts worker processes: spawned, never forked, and gone when their parent is."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from harness.errors import threads_stay_silent
from harness.leftovers import remove_leftovers

GRACE_SECONDS = 5.0  # for a worker that is told to stop to take its files along


class _Terminated(BaseException):
    """A worker was told to stop: its job's clean-up runs, then the process ends."""


class Pool(ProcessPoolExecutor):
    """Processes that stop at once, taking their files along, when the work is given up."""

    def __init__(self, workers: int | None, *how: Any) -> None:
        super().__init__(workers, *how)
        self._count = workers or os.cpu_count() or 1

    @property
    def window(self) -> int:
        """Calls that may wait here: enough that no process does, few enough that a million need no memory."""
        return 64 * self._count

    def submit(self, function: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        """As an executor does it."""
        return super().submit(_call, function, *given, **named)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.shutdown(wait=error is None)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for the work that is begun, or, with `wait` false, stop its workers."""
        workers = list((self._processes or {}).values())
        manager: Any = self._executor_manager_thread
        super().shutdown(wait=wait, cancel_futures=cancel_futures or not wait)
        if not wait:  # by now nothing waits for its turn, so that the manager finds no cancelled work to fail
            _stop(workers)
            if manager:
                manager.join()


def process_pool(workers: int | None, start: Callable[..., object] | None = None, *given: Any) -> Pool:
    """A pool of `workers` fresh processes, each of which first calls `start(*given)`.

    A fork copies locks that other threads hold, such as those of Pillow, torch and ONNX Runtime, and then waits on
    them for ever. Functions and arguments must be importable and picklable, and a script needs its `__main__` guard.
    """
    return Pool(workers, multiprocessing.get_context("spawn"), _begin, (start, given))


def _stop(workers: list[Any]) -> None:
    for worker in workers:
        worker.terminate()
    end = time.monotonic() + GRACE_SECONDS
    for worker in workers:
        worker.join(max(0.0, end - time.monotonic()))
    if slow := [worker for worker in workers if worker.is_alive()]:  # held up in a library, which hears no signal
        for worker in slow:
            worker.kill()
        for worker in slow:
            worker.join()
        remove_leftovers(Path(tempfile.gettempdir()), again=True)


def in_worker() -> bool:
    """Whether this process is one that another started to work for it."""
    return multiprocessing.parent_process() is not None


def _begin(start: Callable[..., object] | None, given: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches the whole group: the parent stops us
    signal.signal(signal.SIGTERM, _terminate)
    sys.unraisablehook = _once_more
    if start:
        start(*given)


_busy = False


def _call(function: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
    global _busy
    _busy = True
    try:
        return function(*given, **named)
    except _Terminated:
        os._exit(128 + signal.SIGTERM)
    finally:
        _busy = False


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threads_stay_silent()
    if not _busy:
        os._exit(128 + number)
    raise _Terminated


def _once_more(told: Any) -> None:
    """Where Python cannot raise, such as after a fork, it drops what a signal raised: signal again a little later."""
    if not isinstance(told.exc_value, _Terminated):
        sys.__unraisablehook__(told)
        return
    signal.signal(signal.SIGTERM, _terminate)
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()


def _end_with_parent() -> None:
    """Leave when the parent is gone, however it went: a killed one cannot tell its workers."""
    parent = multiprocessing.parent_process()
    assert parent
    wait([parent.sentinel])
    with contextlib.suppress(OSError):
        os.kill(os.getpid(), signal.SIGTERM)  # so that the job's clean-up runs
    time.sleep(GRACE_SECONDS)
    os._exit(1)
