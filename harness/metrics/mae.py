"""Mean absolute error (Perazzi et al., Saliency filters, CVPR 2012)."""

from __future__ import annotations

import numpy as np

from harness.metrics.base import Means, Metric, Reading, Sample

METRICS = (Metric("mae_mean", higher_is_better=False, per_image="mae"),)


def reading(sample: Sample) -> Reading:
    """`mae`: mean over pixels of |map - truth|.

    >>> reading(Sample.of(np.array([[0.25, 1.0]]), np.array([[False, True]])))
    {'mae': 0.125}
    """
    inside = float(sample.inside.sum())
    outside = sample.mean * sample.values.size - inside
    return {"mae": (outside + sample.truth.count - inside) / sample.values.size}


def headline(means: Means) -> dict[str, np.ndarray]:
    """`mae_mean`: mean over images."""
    return {"mae_mean": means["mae"]}
