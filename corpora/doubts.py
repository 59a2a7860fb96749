"""What makes a set of pictures look like less than it counts: links, pictures that are there twice, tiny ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from corpora.loader import ClipPair, Pair, images_in
from corpora.memo import digests_of
from harness.media.pictures import opened

SMALLEST = 32  # pixels of a side


def doubts_about(pairs: Sequence[Pair]) -> list[str]:
    """One line for each thing that a set of pairs should not have, with how many files have it; none for a sound set.

    >>> doubts_about([])
    []
    """
    images = [pair.image for pair in pairs]
    same = Counter(digests_of(images))
    found = {
        "are links, or one file under several names": _linked(images),
        "are equal to another one": sum(same.values()) - len(same),
        f"have a side below {SMALLEST} pixels": sum(min(_size(path)) < SMALLEST for path in images),
    }
    return [f"{count} of {len(images)} pictures {what}" for what, count in found.items() if count]


def doubts_about_clips(clips: Sequence[ClipPair]) -> list[str]:
    """The same for clips: a still picture makes equal frames, but clips are not equal to each other."""
    frames = [images_in(clip.frames) if clip.frames.is_dir() else [clip.frames] for clip in clips]
    files = [path for paths in frames for path in paths]
    same = Counter(tuple(digests_of(paths)) for paths in frames)
    found = {
        f"of {len(files)} files are links, or one file under several names": _linked(files),
        f"of {len(clips)} clips are equal to another one": sum(same.values()) - len(same),
    }
    return [f"{count} {what}" for what, count in found.items() if count]


def _linked(paths: Sequence[Path]) -> int:
    """Symbolic links, and all but one of several names of one file."""
    places = Counter((path.stat().st_dev, path.stat().st_ino) for path in paths)
    links = sum(path.is_symlink() for path in paths)
    return max(links, sum(places.values()) - len(places))


def _size(path: Path) -> tuple[int, int]:
    with opened(path) as picture:
        width, height = picture.size
    return width, height
