"""Download a corpus into the cache: pooch checks the bytes, mirrors are tried in turn, unzipping stays inside."""

from __future__ import annotations

import logging
import lzma
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pooch

from corpora.loader import Corpus, cache_folder, find_corpus
from corpora.manifest import Manifest, Source
from corpora.synth import write_clips, write_images
from corpora.verify import verify
from harness.errors import HarnessError, InputError
from harness.files import whole_folder
from harness.locks import file_held

TIMEOUT = 30  # seconds without a byte
RATIO, SMALL = 20, 64 << 20  # pictures hardly shrink in an archive, masks do; below 64 MiB no one minds
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, RuntimeError, ValueError, IndexError)

Note = Callable[[str], None]


class DamagedError(HarnessError):
    """An archive that does not unpack; another download may."""


def fetch(
    manifest: Manifest, into: Path | None = None, *, yes: bool = False, note: Note = print, progressbar: bool = False
) -> Corpus:
    """Download and unpack `manifest`'s archives below `into` (the cache by default); return where the set lies.

    Archives that are already there with the right bytes are not fetched again, a set that is already unpacked is
    returned as it is, and an interrupted download starts clean without touching what is complete. An archive whose
    bytes nothing vouches for is fetched again, once, when it is damaged; its files are held against the known editions
    of the set. Generated corpora are written instead.

    Args:
        yes: Unpack whatever size an archive has, and take an edition that is not known.

    Raises:
        InputError: No program can fetch the set, or another one fetches it now.
        HarnessError: Every mirror failed, or an archive is damaged, unsafe, larger than stated or not the set.
    """
    into = Path(into) if into is not None else cache_folder()
    if manifest.generated:
        folder = write_clips(into) if manifest.role == "clips" else write_images(into)
        return find_corpus(manifest, folder)
    if not manifest.sources:
        raise InputError(f"{manifest.title} cannot be fetched by a program: get it from {manifest.homepage}")
    home = into / manifest.folders[0]
    with file_held(home):
        return find_corpus(manifest, home) if home.is_dir() else _fetched(manifest, into, home, yes, note, progressbar)


def _fetched(manifest: Manifest, into: Path, home: Path, yes: bool, note: Note, progressbar: bool) -> Corpus:
    def download(source: Source) -> Path:
        return _download(source, into / "archives" / manifest.name, bool(manifest.variants), note, progressbar)

    archives = [download(source) for source in manifest.sources]
    loose = [archive for archive, source in zip(archives, manifest.sources, strict=True) if source.hash is None]
    with whole_folder(home) as fresh:
        try:
            for archive, source in zip(archives, manifest.sources, strict=True):
                most = None if yes else source.unpacked or max(SMALL, RATIO * archive.stat().st_size)
                note(f"unpacking {archive.name}")
                try:
                    unzip(archive, fresh, most)
                except DamagedError as error:
                    if source.hash is not None:
                        raise
                    note(f"{error}; fetching it again")
                    archive.unlink()
                    unzip(download(source), fresh, most)
            _check_set(manifest, fresh, yes or not loose, note)
        except TooLargeError:
            raise
        except HarnessError:
            for archive in loose:  # so that the next try asks the mirrors again
                archive.unlink(missing_ok=True)
            raise
    return find_corpus(manifest, home)


def _check_set(manifest: Manifest, folder: Path, trusted: bool, note: Note) -> None:
    """`HarnessError` for files that are not the set, or, where nothing vouched for their archives, no known edition."""
    try:
        corpus = find_corpus(manifest, folder)
    except InputError as error:
        raise HarnessError(f"the archives of {manifest.title} do not hold its folders: {error}") from error
    if trusted or not manifest.variants:
        return
    note(f"comparing the files with the known editions of {manifest.title}")
    if not (check := verify(corpus)).variant:
        raise HarnessError(
            f"what was fetched is no known edition of {manifest.title}: digest {check.digest}, {check.count} "
            f"{check.unit} (--yes takes it all the same)"
        )


def _download(source: Source, folder: Path, known: bool, note: Note, progressbar: bool) -> Path:
    """One archive from the first mirror that delivers it; pooch writes a temporary file, checks it, renames it.

    Over plain HTTP anyone on the way can change it: that takes a hash, or `known` content to compare with.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error}") from error
    pooch.get_logger().setLevel(logging.ERROR)
    complete = folder / source.file
    if complete.exists() and source.hash is None and not zipfile.is_zipfile(complete):
        complete.unlink()
    failures = []
    for url in source.urls:
        if url.startswith("http://") and not (source.hash or known):
            failures.append(f"{url}: plain HTTP, and nothing says what its bytes must be")
            continue
        note(f"fetching {url}")
        downloader = pooch.HTTPDownloader(progressbar=progressbar, timeout=TIMEOUT, headers={"User-Agent": "harness"})
        try:
            path = Path(pooch.retrieve(url, source.hash, fname=source.file, path=folder, downloader=downloader))
            _check_size(path, source)
            return path
        except (OSError, ValueError, HarnessError) as error:
            failures.append(f"{url}: {_short(error)}")
            note(failures[-1])
    raise HarnessError(f"no mirror delivered {source.file} ({'; '.join(failures)})")


def _check_size(path: Path, source: Source) -> None:
    found = path.stat().st_size
    if source.bytes is not None and found != source.bytes:
        path.unlink()
        raise HarnessError(f"{found:,} bytes instead of {source.bytes:,}")
    if not zipfile.is_zipfile(path):
        path.unlink()
        raise HarnessError("not a zip archive, or cut short")


class TooLargeError(HarnessError):
    """An archive that holds more than its manifest states, or than archives of pictures do."""


def unzip(archive: Path, folder: Path, most: int | None = None) -> None:
    """Unpack `archive` into `folder`, at most `most` bytes [default: what the disk holds].

    Raises `HarnessError` before anything is written when a member would leave the folder or is a link, or when all
    together would be too large, and `DamagedError` when the archive is damaged.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.filename.startswith("__MACOSX/")]
            for member in members:
                _refuse_unsafe(member, archive)
            _refuse_large(archive, sum(member.file_size for member in members), folder, most)
            for member in members:
                opened.extract(member, folder)  # writes no more than the size stated for it
    except DAMAGE as error:
        raise DamagedError(f"{archive} is damaged: {_short(error)}") from error
    except OSError as error:
        raise HarnessError(f"unpacking {archive} failed: {error.strerror or error}") from error


def _refuse_large(archive: Path, size: int, folder: Path, most: int | None) -> None:
    if most is not None and size > most:
        raise TooLargeError(
            f"{archive} holds {size:,} bytes in {archive.stat().st_size:,} (allowed: {most:,}, as its manifest states "
            f"or {RATIO} times its size; more with --yes); nothing was unpacked"
        )
    free = shutil.disk_usage(next(place for place in (folder, *folder.absolute().parents) if place.exists())).free
    if size > free:
        raise TooLargeError(f"{archive} holds {size:,} bytes, {folder.parent} has {free:,} free; nothing was unpacked")


def _refuse_unsafe(member: zipfile.ZipInfo, archive: Path) -> None:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or (name.parts and name.parts[0].endswith(":")):
        raise HarnessError(f"{archive}: member {member.filename!r} would leave the folder; nothing was unpacked")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise HarnessError(f"{archive}: member {member.filename!r} is a link; nothing was unpacked")


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
