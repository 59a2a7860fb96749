"""What arrays are slow at, pixel by pixel: compiled where numba is installed, with the same results to the bit.

numba takes half a second and 110 MiB of a process, and some seconds more when a machine compiles for the first time.
So a process turns to it once it has seen `WORTH` images, and it is an extra, `pip install '.[fast]'`.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])

WORTH = 200  # images of a process, from which on numba saves more time than it takes
_NOWHERE = 1 << 20  # rows away: a column without an object


@functools.cache
def compiled(loop: Callable[..., Any]) -> Callable[..., Any] | None:
    """`loop` as machine code, kept beside its source or in the user's cache; None without numba or such a place."""
    if not importlib.util.find_spec("numba"):
        return None
    import numba

    try:
        return numba.njit(loop, cache=True, nogil=True)
    except RuntimeError:  # each process would compile it again
        return None


def sooner(
    loop: Callable[..., Any], worth: int | None = None, size: Callable[..., int] = lambda *given: 1
) -> Callable[[Function], Function]:
    """Of a function over arrays: once its calls had `worth` in `size` [`WORTH` calls], its equal, a compiled `loop`,
    answers instead."""

    def decorated(arrays: Function) -> Function:
        seen = 0

        @functools.wraps(arrays)
        def either(*given: Any) -> Any:
            nonlocal seen
            seen += size(*given)
            fast = compiled(loop) if seen > (WORTH if worth is None else worth) else None
            return (fast or arrays)(*given)

        return either  # type: ignore[return-value]

    return decorated


def nearest(
    mask: np.ndarray, box: tuple[int, int, int, int], by_square: np.ndarray, reach: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`importance`, `pixels` and `nearest` of `metrics.nearest`, which says what they are.

    Distances down each column first, then the lower envelope of their parabolas along each row.
    Source: Felzenszwalb and Huttenlocher, Distance Transforms of Sampled Functions, Theory of Computing 2012.
    """
    height, width = mask.shape
    away = np.empty((height, width), np.int32)  # rows to the object in the same column
    for x in range(width):
        away[0, x] = 0 if mask[0, x] else _NOWHERE
    for y in range(1, height):
        for x in range(width):
            away[y, x] = 0 if mask[y, x] else away[y - 1, x] + 1
    for y in range(height - 2, -1, -1):
        for x in range(width):
            away[y, x] = min(away[y, x], away[y + 1, x] + 1)
    first, last, begin, end = box
    importance = np.empty((height, width))
    pixels = np.empty((last - first) * (end - begin), np.int64)
    closest = np.empty(len(pixels), np.int64)
    found, far, close = 0, len(by_square) - 1, 2 * reach * reach
    column, level, since = np.empty(width, np.int64), np.empty(width, np.int64), np.empty(width + 1, np.int64)
    square = np.empty(width, np.int64)
    for y in range(height):
        row, parts = away[y], 0
        for x in range(width):
            if row[x] >= _NOWHERE or (row[x] == 0 and 0 < x < width - 1 and row[x - 1] == 0 and row[x + 1] == 0):
                continue
            here = np.int64(row[x]) * row[x] + x * x
            while parts > 1 and (level[parts - 1] - level[parts - 2]) * (x - column[parts - 1]) >= (
                here - level[parts - 1]
            ) * (column[parts - 1] - column[parts - 2]):
                parts -= 1
            column[parts], level[parts] = x, here
            parts += 1
        since[0], since[parts] = 0, width
        for part in range(1, parts):
            meet = (level[part] - level[part - 1]) // (2 * (column[part] - column[part - 1]))
            since[part] = min(max(meet + 1, 0), width)
        for part in range(parts):
            middle = column[part]
            least = level[part] - middle * middle
            for x in range(since[part], since[part + 1]):
                square[x] = least + (x - middle) * (x - middle)
        for x in range(width):
            importance[y, x] = 0.0 if row[x] == 0 else by_square[min(square[x], far)]
        if first <= y < last:
            for x in range(begin, end):
                if row[x] and square[x] <= close:
                    there = max(x - reach - reach // 2, 0)
                    while np.int64(row[there]) * row[there] + (x - there) * (x - there) != square[x]:
                        there += 1
                    rows = row[there]
                    line = y - rows if y >= rows and mask[y - rows, there] else y + rows
                    pixels[found] = (y - first) * (end - begin) + x - begin
                    closest[found] = line * width + there
                    found += 1
    return importance, pixels[:found].copy(), closest[:found].copy()


def looked_up(levels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`values[levels]` of `[H, W]` bytes."""
    height, width = levels.shape
    found = np.empty((height, width))
    for y in range(height):
        for x in range(width):
            found[y, x] = values[levels[y, x]]
    return found


def passing(values: np.ndarray, mask: np.ndarray, threshold: float) -> tuple[int, int]:
    """Pixels at or above a threshold: of the foreground, and of all."""
    height, width = values.shape
    hits, above = 0, 0
    for y in range(height):
        for x in range(width):
            passes = values[y, x] >= threshold
            above += passes
            hits += passes and mask[y, x]
    return hits, above


def tally(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Pixels per 8-bit level `floor(255 v)` of the background and of the foreground: int64 `[2, 256]`."""
    counts = np.zeros((4, 512), np.int64)  # four, as equal neighbours would wait for one another
    height, width = values.shape
    for y in range(height):
        for x in range(width):
            counts[x & 3, np.int64(values[y, x] * 255) + 256 * mask[y, x]] += 1
    return counts.sum(axis=0).reshape(2, 256)


def eased(
    values: np.ndarray, inner: np.ndarray, pixels: np.ndarray, beside: np.ndarray, kernel: np.ndarray
) -> np.ndarray:
    """Errors inside the object, in each column, lower where its surroundings do better: see `metrics.weightedf`."""
    height, width = inner.shape
    reach = len(kernel) - 1
    spread = np.zeros((height + 2 * reach, width), np.float32)
    for y in range(height):
        for x in range(width):
            spread[y + reach, x] = 1 - values[y, x] if inner[y, x] else 0.0
    for place in range(len(pixels)):
        spread[pixels[place] // width + reach, pixels[place] % width] = beside[place]
    sums = np.zeros(width)
    line, blurred = np.zeros(width + 2 * reach, np.float32), np.empty(width, np.float32)
    middle = line[reach:]
    for y in range(height):
        here = spread[y + reach]
        for x in range(width):
            middle[x] = here[x] * kernel[0]
        for step in range(1, reach + 1):
            weight, before, after = kernel[step], spread[y + reach - step], spread[y + reach + step]
            for x in range(width):
                middle[x] += weight * (before[x] + after[x])
        for x in range(width):
            blurred[x] = middle[x] * kernel[0]
        for step in range(1, reach + 1):
            weight, before, after = kernel[step], line[reach - step :], line[reach + step :]
            for x in range(width):
                blurred[x] += weight * (before[x] + after[x])
        for x in range(width):
            sums[x] += min(1 - values[y, x], np.float64(blurred[x])) if inner[y, x] else 0.0
    return sums


def columns(values: np.ndarray, mask: np.ndarray, row: int, mean: float) -> np.ndarray:
    """Sums down the columns, above `row` and from it on: of `metrics.base.Sample.columns`."""
    height, width = values.shape
    sums = np.zeros((2, 4, width))
    for y in range(height):
        part = sums[1 if y >= row else 0]
        for x in range(width):
            value = values[y, x]
            part[0, x] += value
            part[1, x] += value * value
            part[2, x] += value if mask[y, x] else 0.0
            part[3, x] += (value - mean) * (value - mean)
    return sums
