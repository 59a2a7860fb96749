"""A signal that asks the program to end becomes an interrupt, whose clean-up runs on every way out."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from harness.errors import threads_stay_silent

NAMES = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "the terminal was closed"}
AGAIN_SECONDS = 2.0  # after the first signal: from then on another one ends the program as it stands


@dataclass
class Stop:
    """Which signal came, if any, and when."""

    number: int | None = None
    at: float = 0.0

    @property
    def name(self) -> str:
        """What happened, in words."""
        return NAMES[signal.Signals(self.number or 0)]

    def hear(self, number: int, frame: FrameType | None) -> None:
        """The signals' handler."""
        if self.number is None:
            self.number, self.at = number, time.monotonic()
            threads_stay_silent()  # the program ends
            raise KeyboardInterrupt
        if time.monotonic() - self.at > AGAIN_SECONDS:
            os._exit(128 + number)


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Turn each of `NAMES` into one `KeyboardInterrupt`; one that the caller ignores, as `nohup` does, stays so."""
    stop, before = Stop(), {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in NAMES}
    kept = {number: old for number, old in before.items() if old in (signal.SIG_DFL, signal.default_int_handler)}
    for number in kept:
        signal.signal(number, stop.hear)
    try:
        yield stop
    except KeyboardInterrupt:
        pass
    finally:
        for number, old in kept.items():
            signal.signal(number, old)
