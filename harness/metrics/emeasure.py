"""Enhanced-alignment measure (Fan et al., Enhanced-alignment Measure, IJCAI 2018)."""

from __future__ import annotations

import numpy as np

from harness.metrics.base import EPS, Means, Metric, Reading, Sample

METRICS = (
    Metric("e_measure_max"),
    Metric("e_measure_mean"),
    Metric("e_measure_adaptive", per_image="e_adaptive"),
)


def alignment(hits: np.ndarray | int, false: np.ndarray | int, count: int, size: int) -> np.ndarray:
    """E of binary maps given by their foreground and background counts, against `count` of `size` true pixels.

    The mean over pixels of `((2 a b / (a^2 + b^2)) + 1)^2 / 4`, a and b the map and truth less their means;
    it has four distinct values, so counts suffice. Divides by `size - 1`, as the authors' code does
    (by 1 for one pixel).
    """
    hits, false = np.asarray(hits), np.asarray(false)
    positive = hits + false
    if count == 0:
        total = (size - positive).astype(np.float64)
    elif count == size:
        total = positive.astype(np.float64)
    else:
        share, true_share = positive / size, count / size
        pixels = np.array((hits, false, count - hits, size - count - false))
        a = np.array((1 - share, 1 - share, -share, -share))
        b = np.array((1 - true_share, -true_share, 1 - true_share, -true_share)).reshape(-1, *[1] * share.ndim)
        total = (pixels * (2 * a * b / (a * a + b * b + EPS) + 1) ** 2 / 4).sum(axis=0)
    return total / max(size - 1, 1)


def reading(sample: Sample) -> Reading:
    """`e_curve` `[256]` at thresholds >= t/255, `e_adaptive` at min(2 mean, 1).

    >>> perfect = Sample.of(np.array([[1.0, 0.0, 0.0]]), np.array([[True, False, False]]))
    >>> round(reading(perfect)["e_adaptive"], 6)  # 1.5 and not 1: three pixels divided by N - 1
    1.5
    """
    count, size = sample.truth.count, sample.values.size
    return {
        "e_curve": alignment(*sample.above, count, size),
        "e_adaptive": float(alignment(*sample.above_adaptive, count, size)),
    }


def headline(means: Means) -> dict[str, np.ndarray]:
    """Max and mean of the mean curve, and the mean of the adaptive values."""
    return {
        "e_measure_max": means["e_curve"].max(-1),
        "e_measure_mean": means["e_curve"].mean(-1),
        "e_measure_adaptive": means["e_adaptive"],
    }
