"""Download a corpus into the cache: pooch checks the bytes, mirrors are tried in turn, unzipping stays inside."""

from __future__ import annotations

import logging
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pooch

from corpora.loader import Corpus, cache_folder, find_corpus
from corpora.manifest import Manifest, Source
from corpora.synth import write_clips, write_images
from harness.errors import HarnessError, InputError

TIMEOUT = 30  # seconds without a byte

Note = Callable[[str], None]


def fetch(manifest: Manifest, into: Path | None = None, *, note: Note = print, progressbar: bool = False) -> Corpus:
    """Download and unpack `manifest`'s archives below `into` (the cache by default); return where the set lies.

    Archives that are already there with the right bytes are not fetched again, a set that is already unpacked is
    returned as it is, and an interrupted download starts clean without touching what is complete. Generated corpora
    are written instead. Raises `InputError` for a set that no program can fetch, `HarnessError` when every mirror
    failed, the bytes are wrong, or an archive is unsafe or does not hold the set.
    """
    into = Path(into) if into is not None else cache_folder()
    if manifest.generated:
        folder = write_clips(into) if manifest.role == "clips" else write_images(into)
        return find_corpus(manifest, folder)
    if not manifest.sources:
        raise InputError(f"{manifest.title} cannot be fetched by a program: get it from {manifest.homepage}")
    home = into / manifest.folders[0]
    if home.is_dir():
        return find_corpus(manifest, home)
    archives = [_download(source, into / "archives" / manifest.name, note, progressbar) for source in manifest.sources]
    with _new_folder(home) as fresh:
        for archive in archives:
            note(f"unpacking {archive.name}")
            unzip(archive, fresh)
        try:
            find_corpus(manifest, fresh)
        except InputError as error:
            raise HarnessError(f"the archives of {manifest.title} do not hold its folders: {error}") from error
    return find_corpus(manifest, home)


def _download(source: Source, folder: Path, note: Note, progressbar: bool) -> Path:
    """One archive from the first mirror that delivers it; pooch writes a temporary file, checks it, renames it."""
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


def unzip(archive: Path, folder: Path) -> None:
    """Unpack `archive` into `folder`; a member that would leave it, or is a link, refuses the whole archive.

    Raises `HarnessError` before anything is written when a name is unsafe, and when the archive is damaged.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.filename.startswith("__MACOSX/")]
            for member in members:
                _refuse_unsafe(member, archive)
            for member in members:
                opened.extract(member, folder)
    except (zipfile.BadZipFile, EOFError, RuntimeError) as error:
        raise HarnessError(f"{archive} is damaged: {_short(error)}") from error
    except OSError as error:
        raise HarnessError(f"unpacking {archive} failed: {error.strerror or error}") from error


def _refuse_unsafe(member: zipfile.ZipInfo, archive: Path) -> None:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or (name.parts and name.parts[0].endswith(":")):
        raise HarnessError(f"{archive}: member {member.filename!r} would leave the folder; nothing was unpacked")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise HarnessError(f"{archive}: member {member.filename!r} is a link; nothing was unpacked")


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder` that takes its name on success and vanishes on failure."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
