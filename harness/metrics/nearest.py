"""Distances to the nearest foreground pixel, as the weighted F-measure needs them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from harness.metrics import loops
from harness.metrics.loops import sooner

HALF_LIFE = 5.0  # pixels over which the importance of a false alarm moves halfway from 1 to 2
REACH = 3  # of the 7x7 window
_FAR = 256  # pixels from which on the importance is 2 to the last bit
_IMPORTANCE = 2 - np.exp2(np.sqrt(np.arange(_FAR**2 + 1)) / -HALF_LIFE)  # by squared distance
_IMPORTANCE[0] = 0  # the object itself


@dataclass(frozen=True)
class Nearest:
    """`pixels`: background pixels near the object, flat indices in `box`; `nearest`: the object's pixel closest to
    each, flat indices in the picture.

    `box` is the object's bounding box grown by the window's reach; `importance` `[H, W]` is
    `2 - 2^(-distance/5)` on the background and 0 on the object.
    """

    pixels: np.ndarray
    nearest: np.ndarray
    box: tuple[slice, slice]
    importance: np.ndarray


def nearest(mask: np.ndarray) -> Nearest:
    """Nearest foreground of a mask, bool `[H, W]` with at least one true pixel.

    Between equally near pixels the leftmost is taken, and of a column's the upper, as scipy does it.
    """
    box = _box(mask)
    sides = box[0].start, box[0].stop, box[1].start, box[1].stop
    importance, pixels, closest = _found(mask, sides, _IMPORTANCE, REACH)
    return Nearest(pixels, closest, box, importance)


@sooner(loops.nearest)
def _found(
    mask: np.ndarray, box: tuple[int, int, int, int], by_square: np.ndarray, reach: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    height, width = mask.shape
    down, right = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    down -= np.arange(height, dtype=np.int32)[:, None]  # in place: fresh arrays of this size cost more than arithmetic
    right -= np.arange(width, dtype=np.int32)
    squared = down * down
    squared += right * right
    inner = slice(*box[:2]), slice(*box[2:])
    rows, columns = np.nonzero((squared[inner] <= 2 * reach**2) & ~mask[inner])
    pixels = rows * (box[3] - box[2]) + columns
    rows, columns = rows + box[0], columns + box[2]
    closest = (rows + down[rows, columns]) * width + columns + right[rows, columns]
    return by_square[np.minimum(squared, len(by_square) - 1, out=squared)], pixels, closest


def _box(mask: np.ndarray) -> tuple[slice, slice]:
    """Where the object is, and what the window reaches from there."""
    tall, wide = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    sides = zip((tall, wide), mask.shape, strict=True)
    rows, columns = (slice(int(max(at[0] - REACH, 0)), int(min(at[-1] + REACH + 1, most))) for at, most in sides)
    return rows, columns
