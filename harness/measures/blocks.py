"""IoU on the grid of blocks that an encoder steers: 16 (macroblock) and 64 (superblock) pixels."""

from __future__ import annotations

import numpy as np

from harness.measures.base import Means, Reading, Sample

SIDES = (16, 64)  # each a multiple of the one before


def block_means(values: np.ndarray, side: int) -> np.ndarray:
    """Mean of every `side` x `side` block of `[H, W]` on the ceiling grid; edge blocks average what they hold.

    >>> block_means(np.array([[0.0, 1.0, 1.0]]), 2)
    array([[0.5, 1. ]])
    """
    height, width = values.shape
    tall, wide = np.arange(0, height, side), np.arange(0, width, side)
    sums = np.add.reduceat(np.add.reduceat(values, tall, axis=0, dtype=np.float64), wide, axis=1)
    return sums / np.outer(np.diff(tall, append=height), np.diff(wide, append=width))


def reading(sample: Sample) -> Reading:
    """`iou_block16@0.5`, `iou_block64@0.5`: IoU of the blocks whose mean is > 0.5.

    NaN where neither map nor truth fills half a block: the grid is too coarse to say anything about such an object.

    >>> reading(Sample.of(np.array([[0.9, 0.2]]), np.array([[True, True]])))
    {'iou_block16@0.5': 1.0, 'iou_block64@0.5': 1.0}
    """
    found: Reading = {}
    for side in SIDES:
        salient, true = block_means(sample.values, side) > 0.5, block_means(sample.truth.mask, side) > 0.5
        union = np.count_nonzero(salient | true)
        found[f"iou_block{side}@0.5"] = int(np.count_nonzero(salient & true)) / int(union) if union else np.nan
    return found


def headline(means: Means) -> dict[str, np.ndarray]:
    """Means over the images where defined."""
    return {f"iou_block{side}_mean@0.5": means[f"iou_block{side}@0.5"] for side in SIDES}
