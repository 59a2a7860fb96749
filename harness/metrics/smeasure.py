"""Structure measure (Fan et al., Structure-measure: A New Way to Evaluate Foreground Maps, ICCV 2017), alpha = 0.5."""

from __future__ import annotations

import numpy as np

from harness.metrics.base import EPS, Means, Metric, Reading, Sample, quadrants

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
    squares = sample.columns[:, 1].sum() - np.einsum("i,i->", inside, inside)
    outside_spread = max(0.0, squares - (size - count) * outside_mean**2)

    def score(mean: float, spread: float, number: int) -> float:
        deviation = np.sqrt(spread / (number - 1)) if number > 1 else 0.0
        return 2 * mean / (mean**2 + 1 + deviation + EPS)

    foreground = score(inside.mean(), inside.var() * count, count)
    background = score(1 - outside_mean, outside_spread, size - count)
    return (count * foreground + (size - count) * background) / size


def _region(sample: Sample) -> float:
    """Area-weighted SSIM of the four quadrants that meet at the object's centroid; an empty quadrant weighs nothing."""
    mask, values, total = sample.truth.mask, sample.values, 0.0
    parted = sample.truth.once(quadrants)
    tall = slice(0, parted.row), slice(parted.row, None)
    wide = slice(0, parted.column), slice(parted.column, None)
    for vertical, sums, counts in zip(tall, sample.columns, parted.counts, strict=True):
        for horizontal, count in zip(wide, counts, strict=True):
            part = values[vertical, horizontal]
            if part.size:
                found = sums[:3, horizontal].sum(axis=1)
                total += part.size * _ssim(part, mask[vertical, horizontal], count / part.size, *found)
    return total / mask.size


def _ssim(part: np.ndarray, mask: np.ndarray, y: float, total: float, squares: float, product: float) -> float:
    """Mean, contrast and structure similarity of one quadrant; `y` is the mask's mean, `product` sums map x mask."""
    size = part.size
    x, square = total / size, squares / size
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
