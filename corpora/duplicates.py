"""Pictures that are in two corpora, found by perceptual hash: what is tested on must not be trained on."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from corpora.loader import Pair
from harness.media.pictures import opened

SIDE = 16
NEAR = 30  # of 256 bits; 99 % of re-encoded DUTS-TR stays below, 63 million pairs of other pictures stay above
BLOCK = 512


def difference_hash(image: Path) -> np.ndarray:
    """The signs of 16 x 16 horizontal brightness differences, of the picture and its mirror image: uint64 `[2, 4]`.

    Source: N. Krawetz, "Kind of Like That" (dHash), 2013. Raises `InputError` for a file that is no picture.
    """
    with opened(image) as picture:
        picture.draft("L", (4 * SIDE, 4 * SIDE))
        small = picture.convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    grey = np.asarray(small, np.int16)
    both = np.stack((grey, grey[:, ::-1]))
    return np.packbits((both[:, :, 1:] > both[:, :, :-1]).reshape(2, -1), axis=1).view(np.uint64)


def duplicates(
    pairs: Sequence[Pair],
    against: Sequence[Pair],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Pair]:
    """Those of `pairs` that look like one of `against`, mirrored ones too, in the order of `pairs`."""
    everything = [pair.image for pair in (*pairs, *against)]
    hashes = np.empty((len(everything), 2, 4), np.uint64)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow releases the lock while it works
        for index, both in enumerate(pool.map(difference_hash, everything)):
            hashes[index] = both
            progress(index + 1, len(everything))
    if not against:
        return []
    ours, theirs = hashes[: len(pairs), 0], hashes[len(pairs) :].swapaxes(0, 1).reshape(-1, 4)
    found: list[Pair] = []
    for first in range(0, len(ours), BLOCK):
        bits = np.bitwise_count(ours[first : first + BLOCK, None] ^ theirs[None]).sum(2, dtype=np.int64)
        found += [pairs[first + row] for row in np.flatnonzero(bits.min(1) <= NEAR).tolist()]
    return found
