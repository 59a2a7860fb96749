"""Weighted F-measure (Margolin et al., How to Evaluate Foreground Maps?, CVPR 2014), beta = 1."""

from __future__ import annotations

import numpy as np

from harness.metrics import loops
from harness.metrics.base import EPS, Means, Metric, Reading, Sample, by_column
from harness.metrics.loops import sooner
from harness.metrics.nearest import REACH, nearest

METRICS = (Metric("wf_mean", per_image="wf"),)

_TAPS = np.exp(-(np.arange(REACH + 1.0) ** 2) / (2 * 5**2))
_KERNEL = (_TAPS / (2 * _TAPS.sum() - 1)).astype(np.float32)  # from the middle on: 7 taps, sigma 5


def reading(sample: Sample) -> Reading:
    """`wf`: F of precision and recall whose errors weigh by place: less beside the object, more far away from it.

    0 for an empty truth.

    >>> round(reading(Sample.of(np.array([[1.0, 0.0]]), np.array([[True, False]])))["wf"], 6)
    1.0
    """
    truth, count = sample.truth, sample.truth.count
    if count == 0:
        return {"wf": 0.0}
    near = truth.once(nearest)
    beside = 1 - sample.values.ravel()[near.nearest]
    inside = _eased(sample.values[near.box], truth.mask[near.box], near.pixels, beside, _KERNEL).sum()
    outside = np.einsum("ij,ij->", sample.values, near.importance)
    hits = count - inside
    recall, precision = 1 - inside / count, hits / (hits + outside + EPS)
    return {"wf": float(2 * recall * precision / (recall + precision + EPS))}


def headline(means: Means) -> dict[str, np.ndarray]:
    """`wf_mean`: mean over images."""
    return {"wf_mean": means["wf"]}


@sooner(loops.eased)
def _eased(
    values: np.ndarray, inner: np.ndarray, pixels: np.ndarray, beside: np.ndarray, kernel: np.ndarray
) -> np.ndarray:
    """Errors of the object's pixels, each lowered to the weighted mean around it if that is less, summed by column.

    `values` and the mask `inner` are those of its box, `pixels` those of `Nearest`, `beside` the errors of the object
    next to them.
    """
    own = 1 - values
    spread = np.where(inner, own, 0).astype(np.float32)  # enough for what only lowers some errors, and twice as fast
    spread.ravel()[pixels] = beside
    np.minimum(own, _blurred(spread, kernel), out=own)
    return by_column(np.multiply(own, inner, out=own))


def _blurred(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """`values` `[H, W]` through a symmetric window, `kernel` from its middle on, with zeros outside."""
    height, width = values.shape
    padded = np.pad(values, REACH)
    middle = slice(REACH, REACH + height)
    found = padded[middle] * kernel[0]
    for step, weight in enumerate(kernel[1:], 1):
        found += weight * (padded[_moved(middle, -step)] + padded[_moved(middle, step)])
    middle = slice(REACH, REACH + width)
    blurred = found[:, middle] * kernel[0]
    for step, weight in enumerate(kernel[1:], 1):
        blurred += weight * (found[:, _moved(middle, -step)] + found[:, _moved(middle, step)])
    return blurred


def _moved(window: slice, step: int) -> slice:
    return slice(window.start + step, window.stop + step)
