"""Clips and sets that lie at a URL: copied once, for FFmpeg, PyAV and Pillow read files."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from harness.errors import HarnessError, InputError
from harness.files import read_json, whole_file, write_json
from harness.jobs.places import open_url, told
from harness.locks import folder_held

COPIED = "copied.json"
TOLD_EVERY = 30.0  # seconds
GONE = (404, 410)  # an HTTP server's answers where it has nothing
STAMPS = ("ETag", "etag", "md5", "md5Hash", "LastModified", "last_modified", "mtime", "created")
"""What file systems say of a file that changes with its content; one that says none of it is copied each time."""


def local_copy(url: str, cache: Path, announce: Callable[[str], None] = lambda line: None) -> Path:
    """A file or a folder of what lies at a URL, copied where it is not here as it is there.

    Args:
        url: For fsspec: `s3://BUCKET/PREFIX`, `https://HOST/FILE` and others.
        cache: Folder of all copies. What a killed run had copied whole is kept, but for half a minute.
        announce: Hears how much is copied, and how far that is.

    Returns:
        Where the copy lies, under the last part of the URL as its name.

    Raises:
        InputError: A URL that names nothing, or for which a package is missing.
        HarnessError: When it cannot be read, or the copy not be written.
    """
    system, root = open_url(url, "input")
    with told(f"cannot read {url}"):
        there = _found(system, root)
    if not there:
        raise InputError(f"nothing lies at {url} (allowed: a file, or a folder that holds some)")
    folder = cache / hashlib.sha256(url.encode()).hexdigest()[:16]
    target = folder / root.rpartition("/")[2]
    items = [_Item(path, target / path[len(root) :].lstrip("/"), info) for path, info in there.items()]
    for item in items:
        if ".." in PurePosixPath(item.there).parts or not item.here.is_relative_to(target):
            raise InputError(f"{url} holds {item.there!r}, which would lie outside its copy")
    with folder_held(folder, f"the copy of {url}", seconds=3600):
        _remove_others(target, {item.here for item in items})
        _renew(url, target, items, system.get_file, announce)
    return target


def _found(system: Any, root: str) -> dict[str, Mapping[str, Any]]:
    """Every file there, with what its file system says of it; none only where that says that there is none."""
    try:
        info = system.info(root)  # `isfile` and `find` say of a host that cannot be reached that nothing lies there
    except FileNotFoundError as error:
        if cause := _unasked(error):
            raise cause from error
        info = None
    if info and info["type"] == "file":
        return {root: info}
    found: dict[str, Mapping[str, Any]] = system.find(root, detail=True)
    return found


def _unasked(error: FileNotFoundError) -> BaseException | None:
    """Why a file system could not even ask, which fsspec's for HTTP tells as a file that is not there."""
    cause = error.__cause__
    if isinstance(cause, FileNotFoundError) or getattr(cause, "status", None) in GONE:
        return None
    return cause if isinstance(cause, OSError) or type(cause).__module__.startswith("aiohttp") else None


@dataclass(frozen=True)
class _Item:
    """A file there, where its copy lies, and what its file system says of it."""

    there: str
    here: Path
    info: Mapping[str, Any]

    @property
    def stamp(self) -> str | None:
        """What tells its content from another's, as far as is said; None where nothing is."""
        said = [f"{key}={self.info[key]}" for key in STAMPS if self.info.get(key) is not None]
        return "; ".join([f"size={self.info.get('size')}", *said]) if said else None

    @property
    def bytes(self) -> int:
        """Its size, 0 where that is not said."""
        return int(self.info.get("size") or 0)


def _remove_others(target: Path, wanted: Set[Path]) -> None:
    """Remove what lies in a copy and not there: a set is read for whatever its folder holds."""
    for path in target.rglob("*"):
        if path.is_file() and path not in wanted:
            path.unlink()


def _renew(
    url: str,
    target: Path,
    items: Sequence[_Item],
    get: Callable[[str, str], None],
    announce: Callable[[str], None],
) -> None:
    """Copy what is missing or another; a list beside the copy says which file has which stamp."""
    listing = target.parent / COPIED
    known = _known(listing)
    kept: dict[str, str | None] = {
        item.there: item.stamp
        for item in items
        if item.stamp and item.here.is_file() and known.get(item.there) == item.stamp
    }
    due = [item for item in items if item.there not in kept]
    if due:
        size = sum(item.bytes for item in items) / 1e6
        announce(f"copying {len(due):,} of {len(items):,} files ({size:,.1f} MB in all) from {url} to {target}")
    last = time.monotonic()
    try:
        for done, item in enumerate(due, 1):
            with told(f"cannot copy {url}"), whole_file(item.here) as temporary:
                get(item.there, str(temporary))
            kept[item.there] = item.stamp
            if time.monotonic() - last > TOLD_EVERY:
                last = time.monotonic()
                write_json(listing, kept)  # for one that is killed and cannot say what it had
                announce(f"copied {done:,} of {len(due):,} files")
    finally:
        write_json(listing, kept)


def _known(path: Path) -> dict[str, str | None]:
    """What was copied before; nothing where that is not to be read."""
    try:
        found = read_json(path) if path.exists() else {}
    except HarnessError:
        return {}
    return found if isinstance(found, dict) else {}
