"""Small jobs that any process can import."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.jobs import Job


def square(number: int, calls: str | None = None) -> int:
    if calls:
        (Path(calls) / f"{number}.{os.getpid()}.{os.urandom(4).hex()}").touch()
    return number * number


def refuse(number: int) -> int:
    raise InputError(f"number {number} (allowed: none)")


def die_once(number: int, folder: str) -> int:
    mark = Path(folder) / f"died-{number}"
    if number == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def halves(asked: list[dict[str, int]]) -> list[int]:
    if odd := [each["number"] for each in asked if each["number"] % 2]:
        raise InputError(f"{odd[0]} is odd (allowed: even)")
    return [each["number"] // 2 for each in asked]


def jobs_of(count: int, **more: Any) -> list[Job]:
    return [Job(square, {"number": number, **more}) for number in range(count)]


def hurry(number: int) -> int:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return os.sched_getscheduler(0)


def policy_now() -> int:
    return os.sched_getscheduler(0)
