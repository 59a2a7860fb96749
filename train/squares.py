"""Whole pictures and masks as squares of one size, decoded once into one flat memory-mapped array."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from corpora.loader import Pair, content_digest
from harness.files import whole_file
from harness.media.pictures import read_mask, read_rgb
from train.data import decoders, mapped, mapped_anew

CACHE_VERSION = 2


def square(image: Path, mask: Path, side: int) -> np.ndarray:
    """RGB and mask (0 or 255) uint8 `[side, side, 4]`: the picture squashed bilinearly, the mask by nearest pixel.

    A picture without a mask is given as its own mask, and gets an empty one. Raises `InputError` for what is none.
    """
    found = np.zeros((side, side, 4), np.uint8)
    size = (side, side)
    found[:, :, :3] = np.asarray(Image.fromarray(read_rgb(image)).resize(size, Image.Resampling.BILINEAR))
    if mask != image:
        truth = Image.fromarray(read_mask(mask).view(np.uint8) * np.uint8(255))
        found[:, :, 3] = np.asarray(truth.resize(size, Image.Resampling.NEAREST))
    return found


def square_frames(
    pairs: Sequence[Pair], side: int, cache: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> np.ndarray:
    """`square` of every pair, uint8 `[N, side, side, 4]`, from `cache` or decoded into it."""
    path = cache / f"{content_digest(list(pairs))[:16]}-{len(pairs)}-square{side}-v{CACHE_VERSION}.rgbm"
    shape = (len(pairs), side, side, 4)
    if not path.exists():
        with whole_file(path) as part, decoders(len(pairs)) as pool:
            frames = mapped_anew(part, shape)
            images, masks = [pair.image for pair in pairs], [pair.mask for pair in pairs]
            for row, found in enumerate(pool.map(square, images, masks, [side] * len(pairs), chunksize=32)):
                frames[row] = found
                progress(row + 1, len(pairs))
            frames.flush()
    return mapped(path, shape, "r+")  # torch wants to be allowed to write
