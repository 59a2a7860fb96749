"""Files that appear whole or not at all, and their digests."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import stat
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, InputError
from harness.leftovers import part_prefix, remove_leftovers

MOST_BYTES = 1 << 30  # of a text file: a film's libvmaf log has a tenth of that


@contextmanager
def whole_file(path: Path, *, anew: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on failure.

    A link stays, and what it leads to is replaced. A FIFO or a device stays too, and is written to once all is there.

    Raises `InputError` when `path` is a folder or its own cannot be written, `HarnessError` when the disk fails midway,
    and with `anew` `FileExistsError` when another was first to put a file there.
    """
    path = Path(path)
    try:
        _refuse_other(path)
        place, stream = real_place(path), is_stream(path)
        folder = Path(tempfile.gettempdir()) if stream else place.parent  # beside a device nobody may write
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        descriptor, name = tempfile.mkstemp(prefix=part_prefix(path.stem), suffix=path.suffix, dir=folder)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    os.close(descriptor)
    temporary = Path(name)
    temporary.chmod(0o666 & ~_umask())
    try:
        yield temporary
        if anew and stream:
            raise FileExistsError(path)
        if stream:
            with temporary.open("rb") as whole, place.open("wb") as taker:
                shutil.copyfileobj(whole, taker)
        elif not (anew and _linked(temporary, place)):
            temporary.replace(place)
    except FileExistsError:
        raise
    except OSError as error:
        raise HarnessError(f"writing {path} failed: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _refuse_other(path: Path) -> None:
    """`InputError` for what is there and cannot be written as a file is."""
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder (allowed: a file)")
    if path.exists() and not (path.is_file() or is_stream(path)):
        raise InputError(f"cannot write {path}: it is a socket or a disk (allowed: a file, a FIFO or a device)")


def is_stream(path: Path) -> bool:
    """Whether what is there, or a link to it, is a FIFO or a character device: to be written to, never replaced."""
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def real_place(path: Path) -> Path:
    """Where a link leads; any other path as it is."""
    with suppress(OSError):  # a name may be too long
        if Path(path).is_symlink():
            return Path(os.path.realpath(path))
    return Path(path)


def _linked(temporary: Path, path: Path) -> bool:
    """Give the file its name unless that is taken; false where a file system knows no second name for a file."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        if path.exists():
            raise FileExistsError(path) from None
        return False
    return True


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; rename it to `path` on success, remove it on failure.

    Raises `InputError` when `path` is a file, holds anything, or cannot be written, `HarnessError` when the disk fails
    midway.
    """
    place = Path(path).resolve()
    _refuse_full(path)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(place.parent)
        temporary = Path(tempfile.mkdtemp(prefix=part_prefix(place.name), dir=place.parent))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    temporary.chmod(0o777 & ~_umask())
    try:
        yield temporary
        temporary.replace(place)
    except OSError as error:
        raise HarnessError(f"writing {path} failed: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _refuse_full(path: Path) -> None:
    place = Path(path).resolve()
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        found = "holds files already" if place.is_dir() else "is a file"
        raise InputError(f"folder {path} {found} (allowed: an empty or new folder)")


@contextmanager
def scratch_folder(beside: Path | None = None) -> Iterator[Path]:
    """A folder for what is not to be kept, in the folder of the file `beside` [default: the system's temporary one].

    Raises `InputError` when it cannot be made.
    """
    place = Path(beside).parent if beside else Path(tempfile.gettempdir())
    try:
        remove_leftovers(place)
        scratch = tempfile.TemporaryDirectory(prefix=part_prefix(beside.stem if beside else "harness"), dir=place)
    except OSError as error:
        raise InputError(f"cannot write in {place}: {error.strerror or error}") from error
    with scratch as folder:
        yield Path(folder)


def check_apart(inputs: Mapping[str, Path], outputs: Mapping[str, Path]) -> None:
    """`InputError` when writing an output would lose an input or another output; keys name them to the user."""
    taken: dict[Path, str] = {}
    for name, path in outputs.items():
        place = path.resolve()
        for role, source in inputs.items():
            if place == source.resolve():
                raise InputError(f"{name} {path} is the {role} (allowed: any other path)")
        for other, said in taken.items():
            if place == other or place in other.parents or other in place.parents:
                raise InputError(f"{said} and {name} {path} are in one place (allowed: a path of its own for each)")
        taken[place] = name


def check_writable(path: Path) -> None:
    """`InputError` when no new file can appear at `path`; nothing is left behind, and no folder made."""
    path = Path(path)
    try:
        path.exists()  # a name may be too long
        if is_stream(path):
            if not os.access(path, os.W_OK):
                raise InputError(f"cannot write {path}: {os.strerror(errno.EACCES)}")
            return
        folder = next(folder for folder in real_place(path).absolute().parents if folder.exists())
        tempfile.NamedTemporaryFile(prefix=part_prefix(path.stem), suffix=path.suffix, dir=folder).close()
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def check_target(path: Path) -> None:
    """`InputError` when `whole_file` could not write `path`; nothing is left behind."""
    check_writable(path)
    _refuse_other(Path(path))


def check_new_folder(path: Path) -> None:
    """`InputError` when `whole_folder` could not write `path`; nothing is left behind."""
    _refuse_full(path)
    check_writable(path)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with a final newline, atomically; keys keep their order."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_text(path: Path) -> str:
    """Read UTF-8 text of at most `MOST_BYTES`; `InputError` names a file that is missing, too long or not UTF-8."""
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise InputError(f"{path} is longer than {MOST_BYTES >> 20} MiB (allowed: up to that)")
        return content.decode("utf-8")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    except ValueError as error:  # a path that no file can have
        raise InputError(f"cannot read {str(path)!r}: {error}") from error


def read_json(path: Path) -> Any:
    """Read JSON; `InputError` names the file when it is missing or not JSON that every reader takes."""
    return parse_json(read_text(path), str(path))


def parse_json(text: str, where: str) -> Any:
    """JSON of finite numbers, whole ones below 2^64, and of text that UTF-8 can hold; `InputError` names `where`."""
    try:
        value = json.loads(text, parse_float=_finite, parse_int=_whole, parse_constant=_finite)
        if "\\u" in text:  # an escape can say half a character
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise InputError(f"{where} is not JSON that can be read: it is nested too deep") from error
    except ValueError as error:
        raise InputError(f"{where} is not JSON: {error}") from error
    return value


def read_toml(path: Path) -> dict[str, Any]:
    """Read TOML of finite numbers; `InputError` names the file when it is missing or no such TOML."""
    text = read_text(path)
    try:
        return tomllib.loads(text, parse_float=_finite)
    except RecursionError as error:
        raise InputError(f"{path} is not TOML that can be read: it is nested too deep") from error
    except ValueError as error:
        raise InputError(f"{path} is not TOML: {error}") from error


def schema_problem(content: Any, schema: Path) -> str | None:
    """The first thing that the JSON Schema in file `schema` finds wrong with `content`, or None."""
    import jsonschema

    try:
        jsonschema.validate(content, read_json(schema))
    except jsonschema.ValidationError as error:
        place = ".".join(map(str, error.absolute_path)) or "top level"
        message = error.message if len(error.message) <= 200 else f"{error.message[:100]} … {error.message[-100:]}"
        return f"{place}: {message}"
    except RecursionError:
        return "top level: it is nested too deep"
    return None


def check_schema(content: Any, schema: Path, where: str) -> None:
    """`InputError` that begins with `where`, and names the first thing that the JSON Schema in `schema` finds wrong."""
    if problem := schema_problem(content, schema):
        raise InputError(f"{where}: {problem}")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no finite number")
    return number


def _whole(text: str) -> int:
    if len(text) > 20 or abs(int(text)) >= 1 << 64:
        raise ValueError(f"{text[:20]}… is a number beyond 2^64")
    return int(text)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, lower hex; `InputError` when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()


def is_url(where: object) -> bool:
    """Whether this is for fsspec, and no path.

    >>> is_url("s3://bucket/jobs"), is_url(".harness-jobs")
    (True, False)
    """
    return isinstance(where, str) and "://" in where
