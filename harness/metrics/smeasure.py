"""Structure measure (Fan et al., Structure-measure: A New Way to Evaluate Foreground Maps, ICCV 2017), alpha = 0.5."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.metrics.base import EPS, Means, Metric, Reading, Sample

METRICS = (Metric("s_measure_mean", per_image="s_measure"),)

ALPHA = 0.5
_NEARLY_FLAT = 1e-8  # of the mean square: below it one-pass sums lose the variance


def reading(sample: Sample) -> Reading:
    """`s_measure`: half object-aware, half region-aware similarity; 1 - mean for an empty truth, mean for a full one.

    >>> reading(Sample.of(np.array([[0.25, 0.25]]), np.array([[False, False]])))
    {'s_measure': 0.75}
    """
    count, size = sample.truth.count, sample.values.size
    if count == 0:
        return {"s_measure": 1 - sample.mean}
    if count == size:
        return {"s_measure": sample.mean}
    return {"s_measure": max(0.0, ALPHA * _object(sample) + (1 - ALPHA) * _region(sample))}


def headline(means: Means) -> dict[str, np.ndarray]:
    """`s_measure_mean`: mean over images."""
    return {"s_measure_mean": means["s_measure"]}


def _object(sample: Sample) -> float:
    """How high and how even the map is inside the object, and how low and even outside."""
    count, size = sample.truth.count, sample.values.size
    inside = sample.inside
    outside_mean = (sample.mean * size - inside.sum()) / (size - count)
    squares = np.einsum("ij,ij->", sample.values, sample.values) - np.einsum("i,i->", inside, inside)
    outside_spread = max(0.0, squares - (size - count) * outside_mean**2)

    def score(mean: float, spread: float, number: int) -> float:
        deviation = np.sqrt(spread / (number - 1)) if number > 1 else 0.0
        return 2 * mean / (mean**2 + 1 + deviation + EPS)

    foreground = score(inside.mean(), inside.var() * count, count)
    background = score(1 - outside_mean, outside_spread, size - count)
    return (count * foreground + (size - count) * background) / size


@dataclass(frozen=True)
class Quadrants:
    """A mask parted at its object's centroid: below `row`, right of `column`.

    Of the object's pixels in reading order the first `above` lie above; `left` is 1.0 for those on the left, else 0.
    """

    row: int
    column: int
    above: int
    left: np.ndarray

    def parts(self, height: int, width: int, inside: np.ndarray) -> Iterator[tuple[tuple[slice, slice], float, float]]:
        """Per quadrant: where it is, the object's pixels there, and the sum of `inside`, a value for each of them."""
        tall, wide = (slice(0, self.row), slice(self.row, height)), (slice(0, self.column), slice(self.column, width))
        for vertical, here in zip(tall, (slice(0, self.above), slice(self.above, None)), strict=True):
            values, left = inside[here], self.left[here]
            pixels, product = left.sum(), np.einsum("i,i->", values, left)
            yield (vertical, wide[0]), pixels, product
            yield (vertical, wide[1]), len(left) - pixels, values.sum() - product


def quadrants(mask: np.ndarray) -> Quadrants:
    """The quadrants of a mask that has an object."""
    rows, columns = np.count_nonzero(mask, axis=1), np.nonzero(mask)[1]
    row = int(np.round(rows @ np.arange(len(rows)) / len(columns))) + 1
    column = int(np.round(columns.sum() / len(columns))) + 1
    return Quadrants(row, column, int(rows[:row].sum()), (columns < column).astype(np.float64))


def _region(sample: Sample) -> float:
    """Area-weighted SSIM of the four quadrants that meet at the object's centroid; an empty quadrant weighs nothing."""
    mask, values, total = sample.truth.mask, sample.values, 0.0
    height, width = mask.shape
    for place, pixels, product in sample.truth.once(quadrants).parts(height, width, sample.inside):
        part = values[place]
        if part.size:
            total += part.size * _ssim(part, mask[place], pixels / part.size, product)
    return total / mask.size


def _ssim(part: np.ndarray, mask: np.ndarray, y: float, product: float) -> float:
    """Mean, contrast and structure similarity of one quadrant; `y` is the mask's mean, `product` sums map x mask."""
    size = part.size
    x = part.mean()
    square = np.einsum("ij,ij->", part, part) / size
    variance = square - x * x
    if variance > _NEARLY_FLAT * square:
        spread, shared = variance * size, product - size * x * y
    else:  # a flat quadrant scores 1 or 0 by what rounding leaves: do as the reference does
        spread, shared = np.sum((part - x) ** 2), np.sum((part - x) * (mask - y))
    unbiased = size - 1 + EPS
    truth_spread = size * y * (1 - y)
    alpha = 4 * x * y * shared / unbiased
    beta = (x * x + y * y) * (spread + truth_spread) / unbiased
    if alpha != 0:
        return alpha / (beta + EPS)
    return 1.0 if beta == 0 else 0.0
