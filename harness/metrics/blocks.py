"""IoU on the grid of blocks that an encoder steers: 16 (macroblock) and 64 (superblock) pixels."""

from __future__ import annotations

import functools

import numpy as np

from harness.metrics.base import Means, Metric, Reading, Sample

SIDES = (16, 64)  # each a multiple of the one before
METRICS = tuple(Metric(f"iou_block{side}_mean@0.5", per_image=f"iou_block{side}@0.5") for side in SIDES)


def block_sums(values: np.ndarray, side: int) -> np.ndarray:
    """Sum of every `side` x `side` block of `[H, W]` on the ceiling grid, float64.

    >>> block_sums(np.array([[0.0, 1.0, 1.0]]), 2)
    array([[1., 1.]])
    """
    height, width = values.shape
    whole = height // side * side
    rows = values[:whole].astype(np.float64, copy=False).reshape(-1, side, width).sum(axis=1)
    if whole < height:
        rows = np.vstack([rows, values[whole:].sum(axis=0, dtype=np.float64)])
    return np.add.reduceat(rows, np.arange(0, width, side), axis=1)


def grids(values: np.ndarray) -> list[np.ndarray]:
    """Block sums at each of `SIDES`, the coarser ones from the finer."""
    found: list[np.ndarray] = []
    for side, before in zip(SIDES, (1, *SIDES), strict=False):
        found.append(block_sums(found[-1] if found else values, side // before))
    return found


def reading(sample: Sample) -> Reading:
    """`iou_block16@0.5`, `iou_block64@0.5`: IoU of the blocks whose mean is > 0.5.

    NaN where neither map nor truth fills half a block: the grid is too coarse to say anything about such an object.

    >>> reading(Sample.of(np.array([[0.9, 0.2]]), np.array([[True, True]])))
    {'iou_block16@0.5': 1.0, 'iou_block64@0.5': 1.0}
    """
    found: Reading = {}
    for side, map_sums, true_sums in zip(SIDES, grids(sample.values), sample.truth.once(grids), strict=True):
        half = _halves(*sample.values.shape, side)
        salient, true = map_sums > half, true_sums > half
        union = np.count_nonzero(salient | true)
        found[f"iou_block{side}@0.5"] = int(np.count_nonzero(salient & true)) / int(union) if union else np.nan
    return found


@functools.lru_cache(64)
def _halves(height: int, width: int, side: int) -> np.ndarray:
    """Half the pixels of each block: those at the edges hold fewer."""
    rows, columns = (np.diff(np.arange(0, length, side), append=length) for length in (height, width))
    return np.outer(rows, columns) / 2


def headline(means: Means) -> dict[str, np.ndarray]:
    """Means over the images where defined."""
    return {f"iou_block{side}_mean@0.5": means[f"iou_block{side}@0.5"] for side in SIDES}
