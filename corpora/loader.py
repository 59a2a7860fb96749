"""From a corpus name and a root to image and mask pairs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


@dataclass(frozen=True)
class Pair:
    """One image and its ground-truth mask; `name` is the shared file stem."""

    name: str
    image: Path
    mask: Path


def pairs_in(images: Path, masks: Path) -> list[Pair]:
    """All pairs of two folders, sorted by image file name; unpaired files are an `InputError`."""
    found = {path.stem: path for path in _images_of(images)}
    truth = {path.stem: path for path in _images_of(masks)}
    alone = sorted(found.keys() ^ truth.keys())
    if alone:
        raise InputError(f"{images} and {masks}: {len(alone)} unpaired files, the first is {alone[0]!r}")
    if not found:
        raise InputError(f"{images}: no images found (allowed: {', '.join(IMAGE_SUFFIXES)})")
    return [Pair(stem, found[stem], truth[stem]) for stem in sorted(found, key=lambda s: found[s].name)]


def _images_of(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    return [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]


def listing_digest(pairs: list[Pair]) -> str:
    """SHA-256 over the sorted names and sizes of all files: cheap, enough to key a cache."""
    digest = hashlib.sha256()
    for pair in pairs:
        for path in (pair.image, pair.mask):
            digest.update(f"{path.parent.name}/{path.name} {path.stat().st_size}\n".encode())
    return digest.hexdigest()
