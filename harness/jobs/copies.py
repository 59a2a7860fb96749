"""Clips and sets that lie at a URL: copied once, for FFmpeg, PyAV and Pillow read files."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from harness.errors import HarnessError, InputError
from harness.files import read_json, whole_file, write_json
from harness.jobs.places import open_url, told
from harness.locks import folder_held

COPIED = "copied.json"
TOLD_EVERY = 30.0  # seconds
STAMPS = ("ETag", "etag", "md5", "md5Hash", "LastModified", "last_modified", "mtime", "created")
"""What file systems say of a file that changes with its content; one that says none of it is copied each time."""


def local_copy(url: str, cache: Path, announce: Callable[[str], None] = lambda line: None) -> Path:
    """A file or a folder of what lies at a URL, copied where it is not here as it is there.

    Args:
        url: For fsspec: `s3://BUCKET/PREFIX`, `https://HOST/FILE` and others.
        cache: Folder of all copies. What a killed run had copied whole is kept.
        announce: Hears how much is copied, and how far that is.

    Returns:
        Where the copy lies, under the last part of the URL as its name.

    Raises:
        InputError: A URL that names nothing, or for which a package is missing.
        HarnessError: When it cannot be read, or the copy not be written.
    """
    system, root = open_url(url, "input")
    with told(f"cannot read {url}"):
        there = {root: system.info(root)} if system.isfile(root) else system.find(root, detail=True)
    if not there:
        raise InputError(f"nothing lies at {url} (allowed: a file, or a folder that holds some)")
    folder = cache / hashlib.sha256(url.encode()).hexdigest()[:16]
    target = folder / root.rpartition("/")[2]
    wanted = {path: (target / path[len(root) :].lstrip("/"), _stamp(info)) for path, info in there.items()}
    for path, (place, _) in wanted.items():
        if ".." in PurePosixPath(path).parts or not place.is_relative_to(target):
            raise InputError(f"{url} holds {path!r}, which would lie outside its copy")
    with folder_held(folder, f"the copy of {url}", seconds=3600):
        _renew(url, folder, target, wanted, system.get_file, announce, _bytes(there.values()))
    return target


def _renew(
    url: str,
    folder: Path,
    target: Path,
    wanted: Mapping[str, tuple[Path, str | None]],
    get: Callable[[str, str], None],
    announce: Callable[[str], None],
    size: int,
) -> None:
    """Copy what is missing or another, and remove what is no longer there."""
    known = _known(folder / COPIED)
    names = {path: str(place.relative_to(folder)) for path, (place, _) in wanted.items()}
    due = [
        path
        for path, (place, stamp) in wanted.items()
        if not (place.is_file() and stamp and known.get(names[path]) == stamp)
    ]
    for old in set(known) - set(names.values()):
        (folder / old).unlink(missing_ok=True)
    kept = {names[path]: wanted[path][1] for path in wanted if path not in set(due)}
    if due:
        announce(f"copying {len(due):,} of {len(wanted):,} files ({size / 1e6:,.1f} MB in all) from {url} to {target}")
    last = time.monotonic()
    try:
        for done, path in enumerate(due, 1):
            place, stamp = wanted[path]
            with told(f"cannot copy {url}"), whole_file(place) as temporary:
                get(path, str(temporary))
            kept[names[path]] = stamp
            if time.monotonic() - last > TOLD_EVERY:
                last = time.monotonic()
                announce(f"copied {done:,} of {len(due):,} files")
    finally:
        write_json(folder / COPIED, kept)


def _stamp(info: Mapping[str, Any]) -> str | None:
    """What tells a file's content from another's, as far as its file system says; None where it says nothing."""
    said = [f"{key}={info[key]}" for key in STAMPS if info.get(key) is not None]
    return "; ".join([f"size={info.get('size')}", *said]) if said else None


def _known(path: Path) -> dict[str, str | None]:
    """What was copied before; nothing where that is not to be read."""
    try:
        found = read_json(path) if path.exists() else {}
    except HarnessError:
        return {}
    return found if isinstance(found, dict) else {}


def _bytes(infos: Iterable[Mapping[str, Any]]) -> int:
    return sum(int(info.get("size") or 0) for info in infos)
