"""One lock for everything that changes a model folder: registry, files, and what is in production."""

from __future__ import annotations

import fcntl
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import HarnessError, InputError

FILE = ".lock"
SECONDS, PAUSE = 30.0, 0.02


@contextmanager
def locked(folder: Path, act: str, seconds: float = SECONDS) -> Iterator[None]:
    """Hold the lock of a model folder; the file says who does, and the system lets go of it when that process ends.

    Args:
        folder: The model folder; it is made if need be.
        act: What it is held for, as whoever waits for it will read.
        seconds: How long to wait for another holder.

    Raises:
        InputError: For a folder that cannot be written.
        HarnessError: When another process holds the lock that long; the message names it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)  # a link could lead anywhere
    except OSError as error:
        raise InputError(f"cannot change {folder}: {error.strerror}") from error
    try:
        _wait(descriptor, folder, seconds)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{act}, process {os.getpid()} on {platform.node()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, folder: Path, seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                holder = os.pread(descriptor, 1000, 0).decode(errors="replace")
                raise HarnessError(f"{folder} is being changed by: {holder} (wait for it, or end it)") from None
            time.sleep(PAUSE)
