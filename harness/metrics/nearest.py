"""Distances to the nearest foreground pixel, as the weighted F-measure needs them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

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
    """Nearest foreground of a mask, bool `[H, W]` with at least one true pixel; scipy decides between equally near."""
    height, width = mask.shape
    found = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    down, right = found  # made relative in place: fresh arrays of this size cost more than the arithmetic
    down -= np.arange(height, dtype=np.int32)[:, None]
    right -= np.arange(width, dtype=np.int32)
    squared = down * down
    squared += right * right
    box = _box(mask)
    rows, columns = np.nonzero((squared[box] <= 2 * REACH**2) & ~mask[box])
    pixels = rows * mask[box].shape[1] + columns
    rows, columns = rows + box[0].start, columns + box[1].start
    closest = (rows + down[rows, columns]) * width + columns + right[rows, columns]
    return Nearest(pixels, closest, box, _IMPORTANCE[np.minimum(squared, _FAR**2, out=squared)])


def _box(mask: np.ndarray) -> tuple[slice, slice]:
    tall, wide = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (slice(max(tall[0] - REACH, 0), tall[-1] + REACH + 1), slice(max(wide[0] - REACH, 0), wide[-1] + REACH + 1))
