"""What is known about one corpus: where it comes from, how it lies on disk, what its terms are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.files import check_schema, read_toml

HERE = Path(__file__).parent
SCHEMA = HERE / "manifest.schema.json"


@dataclass(frozen=True)
class Source:
    """One archive: mirrors tried in turn, and what the bytes must be where that is known.

    `hash` is `sha256:HEX` or `md5:HEX`, as pooch reads it; `bytes` is the archive's size, `unpacked` that of its files.
    """

    file: str
    urls: tuple[str, ...]
    bytes: int | None = None
    unpacked: int | None = None
    hash: str | None = None


@dataclass(frozen=True)
class Layout:
    """Folders, relative to the set's own folder, of images and masks.

    In a clip set each holds one folder of frames (or, for images, one video file) per clip.
    Suffixes are given only where images and masks share one folder.
    """

    images: str
    masks: str
    image_suffixes: tuple[str, ...] = ()
    mask_suffixes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variant:
    """A known edition of the set, told from the others by the digest that `verify` prints.

    `content` are the digests that tables say of the same files, one for each layout's names; in a set of clips `clips`
    has one for each clip.
    """

    name: str
    count: int
    digest: str
    content: tuple[str, ...] = ()
    clips: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """One corpus. `count` is the number of pairs (or clips) that its authors published."""

    name: str
    title: str
    role: str
    count: int
    folders: tuple[str, ...]
    layouts: tuple[Layout, ...]
    licence: str
    terms: str
    citation: str
    homepage: str = ""
    sources: tuple[Source, ...] = ()
    variants: tuple[Variant, ...] = ()
    generated: bool = False
    notes: str = ""

    @property
    def unit(self) -> str:
        """What `count` counts: `pairs` or `clips`."""
        return "clips" if self.role == "clips" else "pairs"


def manifest_names() -> list[str]:
    """Names of all corpora that ship with the harness, sorted."""
    return sorted(path.stem for path in HERE.glob("*.toml"))


def load_manifest(name: str) -> Manifest:
    """The manifest called `name`, or the one in a file when `name` is a path ending in `.toml`.

    Names are matched without regard to case. Raises `InputError` for an unknown name or a broken file.

    >>> load_manifest("ecssd").count
    1000
    """
    if name.endswith(".toml"):
        return _read(Path(name))
    path = HERE / f"{name.lower()}.toml"
    if name.lower() not in manifest_names():
        raise InputError(f"unknown corpus {name!r} (allowed: {', '.join(manifest_names())}, or a manifest *.toml)")
    return _read(path)


def published_count(name: str, found: int) -> int:
    """How many pairs or clips the authors of a corpus published; `found` for a set that is none of ours.

    >>> published_count("ecssd", 4), published_count("my own", 4)
    (1000, 4)
    """
    known = name.endswith(".toml") or name.lower() in manifest_names()
    return load_manifest(name).count if known else found


def known_digests(name: str) -> dict[str, set[str]]:
    """What tables say of a corpus' known editions: digests by the name that they have in a table's data.

    >>> sorted(known_digests("davis-2016"))[0], len(known_digests("ecssd")["ecssd"])
    ('davis-2016/blackswan', 3)
    """
    found: dict[str, set[str]] = {}
    for variant in load_manifest(name).variants:
        for digest in variant.content:
            found.setdefault(name, set()).add(digest)
        for clip, digest in variant.clips.items():
            found.setdefault(f"{name}/{clip}", set()).add(digest)
    return found


@cache
def _read(path: Path) -> Manifest:
    fields = read_toml(path)
    check_schema(fields, SCHEMA, str(path))
    for key, kind in (("sources", Source), ("layouts", Layout), ("variants", Variant)):
        fields[key] = tuple(_build(kind, entry) for entry in fields.get(key, []))
    manifest: Manifest = _build(Manifest, fields)
    return manifest


def _build(kind: type, fields: dict[str, Any]) -> Any:
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()})
