"""Dice coefficient, the F-measure with beta = 1."""

from __future__ import annotations

import numpy as np

from harness.metrics.base import Means, Metric, Reading, Sample, ratio

METRICS = (Metric("dice_mean@0.5", per_image="dice@0.5"),)


def reading(sample: Sample) -> Reading:
    """`dice@0.5`: `2 tp / (2 tp + fp + fn)` of pixels > 0.5, 0/0 = 0.

    >>> round(reading(Sample.of(np.array([[0.9, 0.8, 0.1]]), np.array([[True, False, False]])))["dice@0.5"], 6)
    0.666667
    """
    hits, false = sample.above_half
    return {"dice@0.5": float(ratio(2 * hits, hits + false + sample.truth.count))}


def headline(means: Means) -> dict[str, np.ndarray]:
    """`dice_mean@0.5`: mean over images."""
    return {"dice_mean@0.5": means["dice@0.5"]}
