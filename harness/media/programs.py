"""Other programs, run so that they never outlive their caller."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.errors import InputError

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


@contextlib.contextmanager
def running(
    command: Sequence[str | Path],
    env: dict[str, str] | None = None,
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.PIPE,
) -> Iterator[subprocess.Popen[bytes]]:
    """A child with `env` on top of this environment, nothing on stdin and, unless told otherwise, a pipe on stderr.

    It leads a process group of its own; on any way out of the `with`, Ctrl-C included, the whole group is gone.
    Raises `OSError` when it does not start.
    """
    child = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env={**os.environ, **env} if env else None,
        start_new_session=True,
        preexec_fn=_die_with_parent if _libc else None,
    )
    try:
        yield child
    finally:
        kill(child)


def find_program(name: str, option: str) -> Path:
    """A program on PATH whose `--help` knows `option`; `InputError` when there is none."""
    found = shutil.which(name)
    if not found:
        raise InputError(f"no program {name} on PATH (needs one that knows {option})")
    with running([found, "--help"], stdout=subprocess.PIPE) as child:
        said = b"".join(child.communicate())
    if option.encode() not in said:
        raise InputError(f"{found} knows no {option} (needs a later version)")
    return Path(found)


def kill(child: subprocess.Popen[bytes]) -> None:
    """End the child and all of its group, and close its pipes; nothing happens to one that has ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for stream in (child.stdout, child.stderr):
        if stream:
            stream.close()


def _die_with_parent() -> None:
    """Runs in the child: a harness killed outright takes it along."""
    assert _libc
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
