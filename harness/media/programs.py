"""Other programs, run so that they never outlive their caller."""

from __future__ import annotations

import contextlib
import functools
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.errors import InputError

ANSWER_SECONDS, ANSWER_BYTES = 15.0, 4 << 20  # of a program that is asked what it is


@contextlib.contextmanager
def running(
    command: Sequence[str | Path],
    env: dict[str, str] | None = None,
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.PIPE,
) -> Iterator[subprocess.Popen[bytes]]:
    """A child with `env` on top of this environment, nothing on stdin and, unless told otherwise, a pipe on stderr.

    It leads a process group of its own; on any way out of the `with`, Ctrl-C included, the whole group is gone, and
    where `setpriv` is at hand it dies with a harness that is killed outright. Raises `OSError` when it does not start.
    """
    words = [str(word) for word in command]
    child = subprocess.Popen(
        [*_dying_with_parent(words[0]), *words],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env={**os.environ, **env} if env else None,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        kill(child)


def ask(command: Sequence[str | Path], seconds: float = ANSWER_SECONDS, both: bool = False) -> str:
    """What a program answers on stdout, with `both` on stderr as well, to a question such as `-version`.

    Raises `InputError` when it does not start, fails, or has not ended its answer after `seconds` or `ANSWER_BYTES`.
    """
    said = b""
    try:
        stderr = subprocess.STDOUT if both else subprocess.DEVNULL
        with running(command, stdout=subprocess.PIPE, stderr=stderr) as child, selectors.DefaultSelector() as ready:
            assert child.stdout
            ready.register(child.stdout, selectors.EVENT_READ)
            end = time.monotonic() + seconds
            while len(said) <= ANSWER_BYTES and ready.select(max(0.0, end - time.monotonic())):
                if not (block := os.read(child.stdout.fileno(), 1 << 16)):
                    code = child.wait(max(0.1, end - time.monotonic()))
                    break
                said += block
            else:
                raise InputError(
                    f"{command[0]} does not end its answer to {command[-1]} (after {seconds:g} s or 4 MiB)"
                )
    except (OSError, subprocess.SubprocessError) as error:
        raise InputError(f"{command[0]} does not run: {getattr(error, 'strerror', None) or error}") from error
    if code:
        raise InputError(f"{command[0]} fails when it is asked {command[-1]} (exit code {code})")
    return said.decode(errors="replace")


def find_program(name: str, option: str) -> Path:
    """A program on PATH whose `--help` knows `option`; `InputError` when there is none."""
    found = shutil.which(name)
    if not found:
        raise InputError(f"no program {name} on PATH (needs one that knows {option})")
    if option not in ask([found, "--help"], both=True):
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


def _dying_with_parent(program: str) -> list[str]:
    """Words before a command that start it so; none for what would not start, whose `OSError` says why.

    Code of our own in the forked child, `preexec_fn`, would free there what other threads hold: a scaler of FFmpeg's
    then waits for threads that the child has not.
    """
    if (setpriv := _setpriv()) is None or not _starts(program):
        return []
    return [setpriv, "--pdeathsig", "KILL", "--"]


@functools.cache
def _setpriv() -> str | None:
    found = shutil.which("setpriv") if sys.platform == "linux" else None
    if found is None:
        return None
    try:
        told = subprocess.run([found, "--help"], stdin=subprocess.DEVNULL, capture_output=True, timeout=ANSWER_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return found if b"--pdeathsig" in told.stdout else None


def _starts(program: str) -> bool:
    """Whether the system would start a file: it may be run, and is of a form that begins as programs do."""
    path = shutil.which(program)
    try:
        with Path(path or program).open("rb") as stream:
            head = stream.read(4)
    except OSError:
        return False
    return bool(path) and (head.startswith(b"#!") or head == b"\x7fELF")
