"""As root, SVT-AV1 makes whoever opens it real-time, for good: the rest of the machine then waits for what follows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def same_priority() -> Iterator[None]:
    """Leave this thread's scheduling as it was before, where the system has one."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, parameters)
