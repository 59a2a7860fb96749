"""What a set holds, before hours are spent on it: how many pairs of how many, which masks say little, what is refused.

A mask is decoded once for all runs: what is found is kept under the digests of the files' content.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from corpora.loader import Pair
from corpora.manifest import published_count
from corpora.memo import digests_of, keep, recall
from harness.errors import InputError
from harness.files import parse_json
from harness.media.pictures import FOREGROUND, opened, read_mask, read_rgb

TINY = 0.01  # share of the picture below which an object is hardly one
THREADS = min(4, os.cpu_count() or 1)
VERSION = 1  # of what is kept of a file

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Look:
    """A pair as its headers and its mask say: upright size, share of foreground, and whether the mask has greys."""

    width: int
    height: int
    share: float
    grey: bool
    turned: bool


@dataclass(frozen=True)
class Survey:
    """One set: `pairs` of `published`, the names of those to look at, and why some are refused.

    `empty` and `full` masks have no foreground or nothing else, `tiny` ones less than `TINY` of it, `grey` ones levels
    between 0 and 255; `turned` pictures or masks carry an EXIF orientation, which is applied.
    """

    name: str
    pairs: int
    published: int
    smallest: tuple[int, int] | None
    largest: tuple[int, int] | None
    empty: tuple[str, ...]
    full: tuple[str, ...]
    tiny: tuple[str, ...]
    grey: tuple[str, ...]
    turned: tuple[str, ...]
    refused: tuple[str, ...]

    @property
    def code(self) -> int:
        """2 when a run would refuse the set, 1 when its numbers would not be those of the whole set, else 0."""
        if self.refused:
            return 2
        return int(self.pairs != self.published or bool(self.empty or self.full))

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "code": self.code}

    def __str__(self) -> str:
        counted = f"{self.pairs:,} of {self.published:,} pairs" + ("" if self.pairs == self.published else ", PARTIAL")
        said = [f"{self.name}: {counted}"]
        if self.smallest and self.largest:
            sizes = dict.fromkeys("{}x{}".format(*size) for size in (self.smallest, self.largest))
            said.append(" to ".join(sizes) + " pixels")
        said += [
            f"{len(names):,} {what} ({names[0]}{' …' if len(names) > 1 else ''})"
            for names, what in (
                (self.empty, "empty masks"),
                (self.full, "full masks"),
                (self.tiny, f"masks below {TINY:.0%}"),
                (self.grey, "masks with greys"),
                (self.turned, "turned by EXIF"),
            )
            if names
        ]
        return "; ".join(said) + (f"; {len(self.refused):,} REFUSED: {self.refused[0]}" if self.refused else "")


def survey(
    name: str,
    pairs: Sequence[Pair],
    above: int = FOREGROUND,
    whole: bool = False,
    progress: Progress = lambda done, total: None,
) -> Survey:
    """Look at every pair of a set.

    Args:
        name: The corpus; its published count is that of its manifest, or what is there for one's own.
        pairs: What is there.
        above: Mask pixels above it are foreground, as the run has it.
        whole: Decode the pictures too, where else their headers must do.
        progress: Hears (pairs done, all).

    Returns:
        What was found; what cannot be read is among it, with the reason, and raises nothing.
    """
    keys = _keys(pairs, f"{VERSION} {above} {whole}")
    known = recall("looks", [key for key in keys if key])
    fresh: dict[str, str] = {}
    found: list[tuple[str, Look]] = []
    refused: list[str] = []
    with ThreadPoolExecutor(THREADS) as pool:  # Pillow releases the lock while it decodes
        looks = pool.map(partial(_look, above=above, whole=whole), pairs, [known.get(key) for key in keys])
        for done, (pair, key, look) in enumerate(zip(pairs, keys, looks, strict=True), start=1):
            if isinstance(look, str):
                refused.append(look)
            else:
                found.append((pair.name, look))
                if key and key not in known:
                    fresh[key] = json.dumps(asdict(look))
            progress(done, len(pairs))
    keep("looks", fresh)
    for share, all_of_it in ((0, "empty"), (1, "full")):
        if found and not refused and all(look.share == share for _, look in found):
            refused.append(f"all {len(found):,} masks are {all_of_it} (foreground is above {above} of 255)")

    def names(kind: Callable[[Look], bool]) -> tuple[str, ...]:
        return tuple(name for name, look in found if kind(look))

    sizes = sorted(((look.width, look.height) for _, look in found), key=lambda size: size[0] * size[1])
    return Survey(
        name=name,
        pairs=len(pairs),
        published=published_count(name, len(pairs)),
        smallest=sizes[0] if sizes else None,
        largest=sizes[-1] if sizes else None,
        empty=names(lambda look: look.share == 0),
        full=names(lambda look: look.share == 1),
        tiny=names(lambda look: 0 < look.share < TINY),
        grey=names(lambda look: look.grey),
        turned=names(lambda look: look.turned),
        refused=tuple(refused),
    )


def _keys(pairs: Sequence[Pair], how: str) -> list[str]:
    """What a pair's look is kept under: its files' content; "" for all where a file cannot be read."""
    try:
        shas = digests_of([path for pair in pairs for path in (pair.image, pair.mask)])
    except InputError:
        return [""] * len(pairs)
    return [f"{image} {mask} {how}" for image, mask in zip(shas[::2], shas[1::2], strict=True)]


def _look(pair: Pair, known: str | None, above: int, whole: bool) -> Look | str:
    """A pair's look, or why it is refused."""
    if known:
        with contextlib.suppress(InputError, TypeError):  # a damaged memory: look again
            return Look(**parse_json(known, "what is known"))
    try:
        with opened(pair.image) as image:
            turn = _orientation(image)
            width, height = image.size[::-1] if turn > 4 else image.size
        if whole:
            height, width = read_rgb(pair.image).shape[:2]
        mask = read_mask(pair.mask, above)
        with opened(pair.mask) as image:
            turned = turn != 1 or _orientation(image) != 1
            levels = np.asarray(image.convert("L").histogram())
    except InputError as error:
        return str(error)
    if mask.shape != (height, width):
        return f"{pair.mask}: mask is {mask.shape[1]}x{mask.shape[0]}, its image {width}x{height} (must be equal)"
    return Look(width, height, float(mask.mean()), bool(levels[1:-1].any()), turned)


def _orientation(image: Image.Image) -> int:
    try:
        turn = int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken EXIF, which the reader takes for none
        return 1
    return turn if 1 < turn < 9 else 1
