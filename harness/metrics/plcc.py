"""Linear correlation of map and truth, "CC" in the saliency literature (Bylinskii et al., TPAMI 2019)."""

from __future__ import annotations

import numpy as np

from harness.metrics.base import Means, Metric, Reading, Sample

METRICS = (Metric("plcc_mean", per_image="plcc"),)


def reading(sample: Sample) -> Reading:
    """`plcc`: Pearson correlation over the pixels of one image; NaN where map or truth does not vary.

    >>> reading(Sample.of(np.array([[0.0, 0.5, 1.0]]), np.array([[False, False, True]])))["plcc"].round(6)
    np.float64(0.866025)
    """
    count, size = sample.truth.count, sample.values.size
    if sample.low == sample.high or count in (0, size):
        return {"plcc": np.nan}
    spread = sample.columns[:, 3].sum()
    covariance = (sample.inside - sample.mean).sum()
    return {"plcc": covariance / np.sqrt(spread * count * (1 - count / size))}


def headline(means: Means) -> dict[str, np.ndarray]:
    """`plcc_mean`: mean over the images where it is defined."""
    return {"plcc_mean": means["plcc"]}
