"""Weighted F-measure (Margolin et al., How to Evaluate Foreground Maps?, CVPR 2014), beta = 1."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from harness.measures.base import EPS, Means, Reading, Sample

_TAPS = np.exp(-(np.arange(-3.0, 4.0) ** 2) / (2 * 5**2))
_KERNEL = _TAPS / _TAPS.sum()  # 7 taps, sigma 5: the authors' 7x7 window is its outer product


def reading(sample: Sample) -> Reading:
    """`wf`: F of precision and recall whose errors weigh by place: less beside the object, more far away from it.

    0 for an empty truth.

    >>> round(reading(Sample.of(np.array([[1.0, 0.0]]), np.array([[True, False]])))["wf"], 6)
    1.0
    """
    truth, count = sample.truth, sample.truth.count
    if count == 0:
        return {"wf": 0.0}
    error = np.where(truth.mask, 1 - sample.values, sample.values)
    near = truth.near
    spread = np.where(truth.mask, error, 0.0)
    spread.ravel()[near.pixels] = error.ravel()[near.nearest]
    box = near.box
    blurred = ndimage.correlate1d(spread[box], _KERNEL, axis=0, mode="constant")
    blurred = ndimage.correlate1d(blurred, _KERNEL, axis=1, mode="constant")
    own = 1 - sample.inside
    inside = np.minimum(own, blurred[truth.mask[box]]).sum()
    outside = np.einsum("ij,ij->", sample.values, near.importance)
    hits = count - inside
    recall, precision = 1 - inside / count, hits / (hits + outside + EPS)
    return {"wf": float(2 * recall * precision / (recall + precision + EPS))}


def headline(means: Means) -> dict[str, np.ndarray]:
    """`wf_mean`: mean over images."""
    return {"wf_mean": means["wf"]}
