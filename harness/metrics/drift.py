"""How far a map, or its mean, moves from what it is on the undistorted picture."""

from __future__ import annotations

import numpy as np

from harness.metrics.base import Means, Metric, Reading

SMALLEST = 1e-6  # what a relative change is taken of, at least

METRICS = (
    Metric("drift_plcc_mean", per_image="drift_plcc"),
    Metric("drift_mae_mean", higher_is_better=False, per_image="drift_mae"),
)


def reading(saliency: np.ndarray, clean: np.ndarray) -> Reading:
    """`drift_plcc`, NaN where a map is flat, and `drift_mae` of two maps float `[H, W]`.

    >>> reading(np.array([[0.0, 1.0]]), np.array([[0.0, 0.5]]))
    {'drift_plcc': 1.0, 'drift_mae': 0.25}
    """
    first, second = (values.astype(np.float64).ravel() - values.mean(dtype=np.float64) for values in (saliency, clean))
    scale = np.sqrt(np.einsum("i,i", first, first) * np.einsum("i,i", second, second))
    return {
        "drift_plcc": float(np.einsum("i,i", first, second) / scale) if scale else np.nan,
        "drift_mae": float(np.abs(saliency.astype(np.float64) - clean).mean()),
    }


def headline(means: Means) -> dict[str, np.ndarray]:
    """Means over images; empty where nothing was distorted."""
    return {f"{key}_mean": means[key] for key in ("drift_plcc", "drift_mae") if key in means}


def relative_drift(clean: np.ndarray, encoded: np.ndarray) -> np.ndarray:
    """How much a number, such as `saliency_mean`, changes by compression: mean of `|encoded / clean - 1|`.

    Args:
        clean: The number on untouched content, `[...]`.
        encoded: The same on each encode of it, `[..., encodes]`.

    Returns:
        `[...]`, 0 where nothing changed; a clean value below `SMALLEST` counts as that.

    >>> relative_drift(np.array([0.5, 0.2]), np.array([[0.25, 0.5], [0.3, 0.3]])).round(9)
    array([0.25, 0.5 ])
    """
    change: np.ndarray = np.abs(encoded / np.maximum(clean, SMALLEST)[..., None] - 1)
    return change.mean(axis=-1)
