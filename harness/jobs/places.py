"""Where records lie: a folder, or anything that fsspec opens, such as `s3://BUCKET/PREFIX`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from harness.errors import HarnessError, InputError
from harness.files import check_writable, is_url, whole_file

AT_ONCE = 64  # requests in flight, and records in memory
MARK = "harness-store"  # what a place that is not a folder holds from the first run on


class Place(Protocol):
    """Named records. Names are `xx/….json`: `prefix` is what stands before the slash."""

    @property
    def across(self) -> bool:
        """Whether other processes see the same."""
        ...

    def check(self) -> None:
        """Refuse before any work what cannot be written."""
        ...

    def has(self, name: str) -> bool:
        """Whether there is a record."""
        ...

    def names(self, prefixes: Iterable[str]) -> set[str]:
        """What is there under these prefixes."""
        ...

    def read(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """Each name with what it holds, None where there is nothing."""
        ...

    def create(self, name: str, content: bytes) -> bool:
        """Write a record unless there is one, and say whether it was written: the first writer wins."""
        ...

    def replace(self, name: str, content: bytes) -> None:
        """Write a record in place of a damaged one."""
        ...

    def shown(self, name: str) -> str:
        """How a message names a record."""
        ...


def place_of(where: Path | str) -> Place:
    """A folder, or what a URL names."""
    return Remote(str(where)) if is_url(where) else Folder(Path(where))


@dataclass(frozen=True)
class Folder:
    """A folder of files, on one machine or shared by several."""

    folder: Path
    across: bool = True

    def check(self) -> None:
        check_writable(self.folder / MARK)

    def has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def names(self, prefixes: Iterable[str]) -> set[str]:
        found: set[str] = set()
        for prefix in prefixes:
            try:
                found.update(f"{prefix}/{path.name}" for path in (self.folder / prefix).iterdir())
            except FileNotFoundError:
                continue
            except OSError as error:
                raise InputError(f"cannot read {self.folder / prefix}: {error.strerror}") from error
        return found

    def read(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        for name in names:
            try:
                yield name, (self.folder / name).read_bytes()
            except FileNotFoundError:
                yield name, None
            except OSError as error:
                raise InputError(f"cannot read {self.folder / name}: {error.strerror}") from error

    def create(self, name: str, content: bytes) -> bool:
        path = self.folder / name
        if path.exists():
            return False
        try:
            with whole_file(path, anew=True) as temporary:
                temporary.write_bytes(content)
        except FileExistsError:
            return False
        return True

    def replace(self, name: str, content: bytes) -> None:
        with whole_file(self.folder / name) as temporary:
            temporary.write_bytes(content)

    def shown(self, name: str) -> str:
        return str(self.folder / name)


def open_url(url: str, what: str) -> tuple[Any, str]:
    """fsspec's file system for a URL and the path in it; `InputError` where it names nothing, or needs a package."""
    from fsspec.core import url_to_fs

    kind = url.partition("://")[0]
    try:
        system, root = url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        means = "pip install 'mobilesal-harness[s3]'" if kind in ("s3", "http", "https") else str(error)
        raise InputError(f"{what} {url}: {kind}:// needs a package that is not here ({means})") from error
    except ValueError as error:
        raise InputError(f"{what} {url}: {error} (allowed: a folder, s3://BUCKET/PREFIX …)") from error
    if not root.strip("/"):
        raise InputError(f"{what} {url} names no place (allowed: {kind}://BUCKET/PREFIX)")
    return system, root.rstrip("/")


@contextmanager
def told(what: str) -> Iterator[None]:
    """Whatever a file system raises, as one line."""
    try:
        yield
    except (HarnessError, GeneratorExit):
        raise
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise HarnessError(f"{what}: {said}") from error


@dataclass(frozen=True)
class Remote:
    """What fsspec opens: `s3://`, `gs://`, `sftp://` and others, with credentials from where each looks for them."""

    url: str

    @property
    def across(self) -> bool:
        return not self.url.startswith("memory://")

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        return open_url(self.url, "store")

    def check(self) -> None:
        system, root = self._opened
        with self._told("cannot write"):
            system.pipe_file(f"{root}/{MARK}", MARK.encode())

    def has(self, name: str) -> bool:
        system, root = self._opened
        with self._told("cannot read"):
            return bool(system.exists(f"{root}/{name}"))

    def names(self, prefixes: Iterable[str]) -> set[str]:
        system, root = self._opened

        def under(prefix: str) -> list[str]:
            try:
                listed = system.ls(f"{root}/{prefix}", detail=False)
            except FileNotFoundError:
                return []
            return [f"{prefix}/{path.rpartition('/')[2]}" for path in listed]

        with self._told("cannot read"), ThreadPoolExecutor(AT_ONCE // 4) as pool:
            return {name for listed in pool.map(under, prefixes) for name in listed}

    def read(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        system, root = self._opened
        wanted = list(names)
        for start in range(0, len(wanted), AT_ONCE):
            some = {f"{root}/{name}": name for name in wanted[start : start + AT_ONCE]}
            with self._told("cannot read"):
                found = system.cat(list(some), on_error="return")
                for path, name in some.items():
                    content = found.get(path, FileNotFoundError())
                    if isinstance(content, FileNotFoundError):
                        yield name, None
                    elif isinstance(content, Exception):
                        raise content
                    else:
                        yield name, content

    def create(self, name: str, content: bytes) -> bool:
        system, root = self._opened
        with self._told("cannot write"):
            try:
                system.pipe_file(f"{root}/{name}", content, mode="create")  # S3: a PUT with If-None-Match
            except FileExistsError:
                return False
        return True

    def replace(self, name: str, content: bytes) -> None:
        system, root = self._opened
        with self._told("cannot write"):
            system.pipe_file(f"{root}/{name}", content)

    def shown(self, name: str) -> str:
        return f"{self.url.rstrip('/')}/{name}"

    def _told(self, what: str) -> AbstractContextManager[None]:
        return told(f"{what} store {self.url}")

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url}  # a connection stays where it is

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
