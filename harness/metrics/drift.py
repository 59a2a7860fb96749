"""How far a map moves from the one of the undistorted picture."""

from __future__ import annotations

import numpy as np

from harness.metrics.base import Means, Metric, Reading

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
