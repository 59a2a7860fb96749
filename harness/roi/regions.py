"""From a grid of offsets to rectangles that paint it: as few as can be, or quickly found ones that never overlap."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Region(NamedTuple):
    """A rectangle in pixels and the offset inside it; where regions overlap, the first in the list holds."""

    x: int
    y: int
    width: int
    height: int
    offset: float


def runs_of(offsets: np.ndarray, block: int, height: int, width: int) -> np.ndarray:
    """Rectangles of equal offsets that paint all of them but those of 0, none over another: float64 `[count, 5]`.

    A row is a `Region`. They are many where `regions_of` has few, and take a tenth of its time.
    """
    change = np.ones((offsets.shape[0], offsets.shape[1] + 1), bool)
    change[:, 1:-1] = offsets[:, 1:] != offsets[:, :-1]
    row, left = np.nonzero(change[:, :-1])
    right = np.nonzero(change[:, 1:])[1] + 1
    first, last = _joined(row, left, right, offsets[row, left])
    top, left, bottom, right = row[first] * block, left[first] * block, (row[last] + 1) * block, right[first] * block
    sides = np.minimum(right, width) - left, np.minimum(bottom, height) - top
    found = np.column_stack([left, top, *sides, offsets[row[first], left // block]])
    return found[found[:, 4] != 0]


def regions_of(offsets: np.ndarray, block: int, height: int, width: int) -> list[Region]:
    """Few regions that paint `offsets` onto a frame of `height` x `width`; nothing to paint gives an empty list.

    The farthest from the background come first, so each level may reach under those before it: its outline against
    them costs no rectangles. The last region may be the whole frame: the background under the others.
    """
    values, counts = np.unique(offsets, return_counts=True)
    background = float(values[np.argmax(counts)])
    levels = np.concatenate([values[values < background], values[values > background][::-1]])
    reach = [offsets <= level if level < background else offsets >= level for level in levels]
    regions = [
        Region(left, top, right - left, bottom - top, float(levels[level]))
        for level, top, bottom, left, right in _rectangles(reach, block, height, width)
    ]
    if background != 0:
        regions.append(Region(0, 0, width, height, background))
    return regions


def painted(regions: list[Region], height: int, width: int) -> np.ndarray:
    """The offset of every pixel, float64 `[H, W]`: what an encoder reads out of `regions`."""
    picture = np.zeros((height, width))
    for region in reversed(regions):
        picture[region.y : region.y + region.height, region.x : region.x + region.width] = region.offset
    return picture


def _rectangles(grids: list[np.ndarray], block: int, height: int, width: int) -> list[tuple[int, ...]]:
    """`(grid, top, bottom, left, right)` in pixels: runs of a row, joined downwards where they start and end alike."""
    if not grids:
        return []
    rows = grids[0].shape[0] + 1  # an empty row between grids, so that no run goes on from one to the next
    tall = np.pad(np.stack(grids), ((0, 0), (0, 1), (1, 1))).reshape(len(grids) * rows, -1)
    change = np.diff(tall.astype(np.int8), axis=1)
    row, left = np.nonzero(change == 1)
    _, right = np.nonzero(change == -1)
    first, last = _joined(row, left, right, np.zeros_like(row))
    grid, top = np.divmod(row[first], rows)
    edges = np.stack([top, row[last] - grid * rows + 1, left[first], right[first]], axis=1) * block
    found = np.column_stack([grid, np.minimum(edges, [height, height, width, width])])
    return [tuple(each) for each in found[np.argsort(grid, kind="stable")].tolist()]


def _joined(row: np.ndarray, left: np.ndarray, right: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs of rows joined downwards where they start, end and count alike: places of their first and last ones."""
    order = np.lexsort((row, right, left))
    goes_on = np.diff(row[order]) == 1
    for each in (left, right, value):
        goes_on &= np.diff(each[order]) == 0
    return order[np.append(True, ~goes_on)], order[np.append(~goes_on, True)]
