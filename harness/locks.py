"""One holder at a time of a folder or a file; the system lets go of it when its process ends, however that ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from harness.errors import InputError
from harness.files import is_stream, real_place

FILE = ".lock"
PAUSE, LONGEST = 0.02, 200
WITHOUT = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)  # a file system that has no locks
log = logging.getLogger(__name__)


@contextlib.contextmanager
def folder_held(folder: Path, act: str = "", seconds: float = 0.0) -> Iterator[None]:
    """Hold a folder that a run fills; nothing of the lock is left, and a folder that stays empty goes too.

    Args:
        folder: It is made if need be.
        act: What it is held for, as another run will read [default: this command].
        seconds: How long to wait for another holder.

    Raises:
        InputError: For a folder that cannot be written, and when another process holds it; the message names it.
    """
    folder = Path(folder)
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        with _held(folder / FILE, folder, act, seconds):
            yield
    finally:
        with contextlib.suppress(OSError):  # as soon as one holds anything
            for place in made:
                place.rmdir()


@contextlib.contextmanager
def file_held(path: Path, act: str = "", seconds: float = 0.0) -> Iterator[None]:
    """Hold a file that takes long to write, as `folder_held` does a folder; a FIFO or a device keeps nothing."""
    path = Path(path)
    if is_stream(path):
        yield
        return
    place = real_place(path)  # a file is one, by whatever links it is called
    with _held(place.with_name(f".{place.name[:LONGEST]}{FILE}"), path, act, seconds):
        yield


@contextlib.contextmanager
def _held(lock: Path, what: Path, act: str, seconds: float) -> Iterator[None]:
    descriptor = None
    try:
        descriptor = _taken(lock, what, time.monotonic() + seconds)
    except OSError as error:
        if error.errno not in WITHOUT:
            raise InputError(f"cannot write {what}: {error.strerror or error}") from error
        log.warning("harness: no lock on %s (%s): no other run may write there", what, error.strerror)
    if descriptor is None:
        yield
        return
    try:
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, _holder(act).encode(errors="replace"), 0)
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink()
        os.close(descriptor)


def _taken(lock: Path, what: Path, until: float) -> int:
    """The lock's file, opened and locked; another holder may have removed the one that was waited for."""
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)  # a link could lead anywhere
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _same(descriptor, lock):
                return descriptor
        except BlockingIOError:
            if time.monotonic() > until:
                said = os.pread(descriptor, 1000, 0).decode(errors="replace") or "another process"
                os.close(descriptor)
                raise InputError(f"{what} is being written by: {said} (wait for it, or end it)") from None
            time.sleep(PAUSE)
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _same(descriptor: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), lock.stat())
    except FileNotFoundError:
        return False


def _holder(act: str) -> str:
    program = Path(sys.argv[0]).name.replace("__main__.py", "harness")
    command = act or shlex.join([program, *sys.argv[1:]])
    short = command if len(command) <= LONGEST else f"{command[:LONGEST]} …"
    return f"{short}, process {os.getpid()} on {platform.node()}"
