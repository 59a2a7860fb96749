"""Which published tables still hold: is the code, are the models and the data what they were when it was written?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpora.loader import clip_digest, content_digest, listing_digest, load_clips, load_pairs
from corpora.manifest import load_manifest, manifest_names
from harness.cells import latex
from harness.errors import InputError
from harness.files import write_json, write_text
from harness.jobs.provenance import code_digest, library_versions, source_of
from harness.models.registry import entries
from harness.tables import Table, published, read_table, table_json

FORMATS = ("json", "tex")
_PART = re.compile(r"(?P<name>[^/\[ ]+)(/(?P<clip>[^/\[ ]+)|\[:(?P<count>\d+)\]|(?P<listing> listing))?")


@dataclass(frozen=True)
class State:
    """One published table today.

    `stale` says why its numbers may not be those that its command gives now, `libraries` which versions have moved
    since: those alone make no table stale. `unchecked` names data that is not at hand.
    """

    path: Path
    kind: str = ""
    command: str = ""
    stale: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For a script."""
        found: dict[str, Any] = {"kind": self.kind, "command": self.command}
        found |= {name: list(getattr(self, name)) for name in ("stale", "libraries", "unchecked")}
        return {"table": self.path.as_posix(), **found}


@dataclass
class _Today:
    """What tables are held against, worked out once."""

    root: Path | None
    with_data: bool
    models: dict[str, str]
    about: tuple[str, ...]
    versions: dict[str, str] = field(default_factory=library_versions)
    digests: dict[str, str | None] = field(default_factory=dict)


def states(
    paths: Sequence[Path],
    *,
    about: Sequence[str] = (),
    data: bool = False,
    root: Path | None = None,
    models: Path | None = None,
) -> list[State]:
    """What has changed under tables.

    Args:
        paths: Tables, or folders of them, `results` for example.
        about: Registered models that each table must speak of.
        data: Also hash the data that tables were made from, where it is at hand; it takes as long as reading it.
        root: Where the corpora lie; without it `HARNESS_CORPORA` and the cache are searched.
        models: The model folder; the project's own if None.

    Raises:
        InputError: For a path that does not exist, or a model that is not registered.
    """
    today = _Today(root, data, {entry["id"]: entry["sha256"] for entry in entries(models)}, tuple(about))
    if unknown := [name for name in about if name not in today.models]:
        raise InputError(f"unknown model {unknown[0]!r} (allowed: {', '.join(today.models)})")
    return [_state(path, today) for path in tables_in(paths)]


def tables_in(paths: Sequence[Path]) -> list[Path]:
    """The tables that are named or lie below a folder that is; `InputError` for a path that does not exist."""
    if absent := [path for path in paths if not path.exists()]:
        raise InputError(f"{absent[0]}: no such file (allowed: tables, or folders that hold some)")
    return [table for path in paths for table in (published(path) if path.is_dir() else [path])]


def moved_libraries(found: Sequence[State]) -> list[str]:
    """Every library that has moved under some table, once: `numpy 2.3.1 -> 2.4.6 (12 tables)`."""
    counts = Counter(change for state in found for change in state.libraries)
    return [f"{change} ({count} {'table' if count == 1 else 'tables'})" for change, count in sorted(counts.items())]


def export(paths: Sequence[Path], formats: Sequence[str], out: Path | None = None) -> Iterator[Path]:
    """Write tables as `NAME.json` or `NAME.tex`, beside them or into `out`; yields what was written.

    Args:
        paths: Tables, or folders of them.
        formats: Of `json` and `tex`.
        out: A folder for all; names must differ then.

    Raises:
        InputError: For an unknown format, a damaged table, or two tables of one name that would go to one place.
    """
    if unknown := [name for name in formats if name not in FORMATS]:
        raise InputError(f"format {unknown[0]!r} (allowed: {', '.join(FORMATS)})")
    tables = tables_in(paths)
    targets = {path: out or path.parent for path in tables}
    read = {path: read_table(path) for path in tables}
    places = Counter((targets[path], read[path].name) for path in tables)
    for (place, name), count in places.items():
        if count > 1:
            raise InputError(f"{count} tables called {name} would go to {place} (allowed: one folder at a time)")
    for path, table in read.items():
        for name in formats:
            target = targets[path] / f"{table.name}.{name}"
            if name == "json":
                write_json(target, table_json(table))
            else:
                write_text(target, latex(table.rows))
            yield target


def _state(path: Path, today: _Today) -> State:
    try:
        table = read_table(path, with_rows=False)
    except InputError as error:
        return State(path, stale=(f"cannot say what wrote it: {error}",))
    stale = [*_code(table), *_models(table, today.models)]
    stale += [f"does not speak of {name}" for name in today.about if name not in table.models]
    unchecked = []
    for name, digest in table.data.items() if today.with_data else ():
        now = _data_now(name, today)
        if now is None:
            unchecked.append(name)
        elif now != digest:
            stale.append(f"data {name} is not what it was")
    libraries = [
        f"{name} {version} -> {today.versions.get(name, 'absent')}"
        for name, version in table.code.versions.items()
        if today.versions.get(name) != version
    ]
    return State(path, table.kind, table.command, tuple(stale), tuple(libraries), tuple(unchecked))


def _code(table: Table) -> Iterator[str]:
    code = table.code
    since = f" since {code.commit[:10]}" if code.commit else ""
    if not (code.module and code.digest):
        yield "cannot say what wrote it: its record names no code"
    elif source_of(code.module) is None:
        yield f"{code.module} is gone{since}"
    elif code_digest(code.module) != code.digest:
        yield f"the code of {code.module} has changed{since}"


def _models(table: Table, registered: dict[str, str]) -> Iterator[str]:
    for name, digest in table.models.items():
        if name in registered and registered[name] != digest:
            yield f"{name} is another file now"


def _data_now(name: str, today: _Today) -> str | None:
    """The digest of a table's data as it is today; None for what is not at hand or no corpus."""
    if name not in today.digests:
        try:
            today.digests[name] = _digest_of(name, today.root)
        except InputError:
            today.digests[name] = None
    return today.digests[name]


def _digest_of(name: str, root: Path | None) -> str | None:
    found = _PART.fullmatch(name)
    if not found or found["name"] not in manifest_names():
        return None
    corpus = found["name"]
    if load_manifest(corpus).unit == "clips":
        return clip_digest(*load_clips(corpus, root, [found["clip"]])) if found["clip"] else None
    pairs = load_pairs(corpus, root)
    if found["listing"]:
        return listing_digest(pairs)
    return content_digest(pairs[: int(found["count"])] if found["count"] else pairs)
