"""What FFmpeg's libraries say while something is done with them: PyAV's log is one for the whole process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import av

_ONE_AT_A_TIME = threading.RLock()  # else one thread would restore the level that another has set


@contextmanager
def said(level: int) -> Iterator[list[tuple[int, str, str]]]:
    """Yield a list that fills with (level, name, text) of all that this thread hears at `level`, of `av.logging`."""
    with _ONE_AT_A_TIME:
        before = av.logging.get_level()
        av.logging.set_level(level)
        try:
            with av.logging.Capture() as logs:
                yield logs
        finally:
            av.logging.set_level(before)
