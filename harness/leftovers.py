"""Names of what is not yet whole, by which the next run finds and removes what a killed one left."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
from functools import cache
from pathlib import Path

LONGEST = 100  # bytes of a name that are kept: the file system allows 255 for all of it
_PART = re.compile(r"^\..*\.part-([0-9a-f]{8})-(\d+)-(\d+)-\w{8}(\.[^.]*)?$", re.DOTALL)


def part_prefix(stem: str) -> str:
    """What the name of a part of `stem` begins with; it says which process of which machine is at work on it."""
    short = stem.encode(errors="surrogateescape")[:LONGEST].decode(errors="ignore")
    return f".{short}.part-{_machine()}-{os.getpid()}-{_started(os.getpid()) or 0}-"


def remove_leftovers(folder: Path, again: bool = False) -> None:
    """Remove from `folder` what processes of this machine left that are gone; looked for once by each process.

    With `again` it is looked for once more, as after a process was killed.
    """
    if again:
        _remove_leftovers.cache_clear()
    _remove_leftovers(folder.resolve(), os.getpid())


@cache
def _remove_leftovers(folder: Path, process: int) -> None:
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except OSError:
        return
    for name in names:
        found = _PART.match(name)
        if found and found[1] == _machine() and _started(int(found[2])) != int(found[3]):
            path = folder / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()


@cache
def _machine() -> str:
    """This machine, or this container: the processes that can be seen from here."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def _started(process: int) -> int | None:
    """When a process began, in ticks since the machine did; 0 where that is not told, None when it is gone."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(errors="replace")
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
        with contextlib.suppress(ProcessLookupError):
            with contextlib.suppress(PermissionError):
                os.kill(process, 0)
            return 0
        return None
    except OSError:
        return 0
    state, *fields = text.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])
