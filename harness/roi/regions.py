"""From a grid of offsets to few rectangles: equal neighbours merge, the commonest value becomes the background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Region:
    """A rectangle in pixels and the offset inside it; where regions overlap, the first in the list holds."""

    x: int
    y: int
    width: int
    height: int
    offset: float


def regions_of(offsets: np.ndarray, block: int, height: int, width: int) -> list[Region]:
    """Regions that paint `offsets` onto a frame of `height` x `width`; nothing to paint gives an empty list.

    The last region may be the whole frame: the background under the others.
    """
    values, counts = np.unique(offsets, return_counts=True)
    background = float(values[np.argmax(counts)])
    regions = [_pixels(*span, block, height, width) for span in _spans(offsets, background)]
    if background != 0:
        regions.append(Region(0, 0, width, height, background))
    return regions


def painted(regions: list[Region], height: int, width: int) -> np.ndarray:
    """The offset of every pixel, float64 `[H, W]`: what an encoder reads out of `regions`."""
    picture = np.zeros((height, width))
    for region in reversed(regions):
        picture[region.y : region.y + region.height, region.x : region.x + region.width] = region.offset
    return picture


def _spans(offsets: np.ndarray, background: float) -> list[tuple[int, int, int, int, float]]:
    """`(row, last row + 1, column, last column + 1, offset)`: runs of a row, joined downwards while they are equal."""
    finished: list[tuple[int, int, int, int, float]] = []
    open_runs: dict[tuple[int, int, float], int] = {}
    for row in range(offsets.shape[0] + 1):
        runs = _runs(offsets[row]) if row < offsets.shape[0] else []
        current = {run: open_runs.get(run, row) for run in runs if run[2] != background}
        finished += [(top, row, *run) for run, top in open_runs.items() if run not in current]
        open_runs = current
    return finished


def _runs(row: np.ndarray) -> list[tuple[int, int, float]]:
    edges = np.flatnonzero(np.diff(row)) + 1
    starts, ends = [0, *edges.tolist()], [*edges.tolist(), row.size]
    return [(start, end, float(row[start])) for start, end in zip(starts, ends, strict=True)]


def _pixels(top: int, bottom: int, left: int, right: int, offset: float, block: int, height: int, width: int) -> Region:
    x, y = left * block, top * block
    return Region(x, y, min(right * block, width) - x, min(bottom * block, height) - y, offset)
