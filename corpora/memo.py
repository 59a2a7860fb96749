"""What is known of files, kept in the user's cache: their SHA-256 while their state on disk stays, facts by SHA-256.

A file's state is its size, inode and both its times, so that no edit in place is missed: a program that puts the time
of change back cannot put back the inode's. Where the cache cannot be used, all is worked out anew.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from harness.errors import InputError
from harness.files import sha256_of

FRESH = 2 * 10**9  # nanoseconds: a file changed so recently may change again within one tick of a coarse file system
AT_ONCE = 500  # keys in one query

_known: dict[str, str] = {}  # in this process: `STATE SHA256` by place


def digests_of(paths: Sequence[Path]) -> list[str]:
    """The SHA-256 of each file's content, lower hex; read only where its state is new. `InputError` when unreadable."""
    places = [str(path.absolute()) for path in paths]
    _known.update(recall("digests", {place for place in places if place not in _known}))
    found: list[str] = []
    fresh: dict[str, str] = {}
    for path, place in zip(paths, places, strict=True):
        state, changed = _state(path)
        before, _, digest = _known.get(place, "").rpartition(" ")
        if before != state:
            digest = sha256_of(path)
            if time.time_ns() - changed > FRESH and _state(path)[0] == state:
                fresh[place] = f"{state} {digest}"
        found.append(digest)
    _known.update(fresh)
    keep("digests", fresh)
    return found


def recall(table: str, keys: Iterable[str]) -> dict[str, str]:
    """What `table` holds under these keys; what it does not hold is left out."""
    wanted = list(keys)
    found: dict[str, str] = {}
    if wanted:
        with contextlib.suppress(OSError, sqlite3.Error), _opened(table) as store:
            for start in range(0, len(wanted), AT_ONCE):
                some = wanted[start : start + AT_ONCE]
                marks = ",".join("?" * len(some))
                found.update(store.execute(f"SELECT key, value FROM {table} WHERE key IN ({marks})", some).fetchall())
    return found


def keep(table: str, rows: Mapping[str, str]) -> None:
    """Put `rows` into `table`, if the cache can be written."""
    if rows:
        with contextlib.suppress(OSError, sqlite3.Error), _opened(table) as store, store:
            store.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", list(rows.items()))


@contextlib.contextmanager
def _opened(table: str) -> Iterator[sqlite3.Connection]:
    from pooch import os_cache

    folder = Path(os_cache("harness"))
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(folder / "memo.sqlite", timeout=10)) as store:
        store.execute(f"CREATE TABLE IF NOT EXISTS {table} (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
        yield store


def _state(path: Path) -> tuple[str, int]:
    """The file's state, and the nanosecond of its last change."""
    try:
        about = path.stat()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    state = f"{about.st_size} {about.st_mtime_ns} {about.st_ctime_ns} {about.st_ino}"
    return state, max(about.st_mtime_ns, about.st_ctime_ns)
