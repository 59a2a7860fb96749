"""The one place that starts worker processes: spawned, never forked, and gone when their parent is."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import Any


def process_pool(workers: int | None, start: Callable[..., object] | None = None, *given: Any) -> ProcessPoolExecutor:
    """A pool of `workers` fresh processes, each of which first calls `start(*given)`.

    A fork copies locks that other threads hold, such as those of Pillow, torch and ONNX Runtime, and then waits on
    them for ever. Functions and arguments must be importable and picklable, and a script needs its `__main__` guard.
    """
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin, (start, given))


def _begin(start: Callable[..., object] | None, given: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if start:
        start(*given)


def _end_with_parent() -> None:
    """Leave when the parent is gone, however it went: a killed one cannot tell its workers."""
    parent = multiprocessing.parent_process()
    assert parent
    wait([parent.sentinel])
    os._exit(1)
