"""Intersection over union at three thresholds: fixed, adaptive, and the set's best."""

from __future__ import annotations

import numpy as np

from harness.metrics.base import THRESHOLDS, Means, Metric, Reading, Sample, ratio

METRICS = (
    Metric("iou_mean@0.5", per_image="iou@0.5"),
    Metric("iou_mean@adaptive", per_image="iou@adaptive"),
    Metric("iou_mean@best"),
    Metric("iou_best_threshold", higher_is_better=None),
)


def reading(sample: Sample) -> Reading:
    """IoU of one image, `tp / (tp + fp + fn)`, 0/0 = 0.

    `iou@0.5` counts pixels > 0.5, `iou@adaptive` pixels >= min(2 mean, 1), `iou_curve` `[256]` pixels >= t/255.

    >>> reading(Sample.of(np.array([[0.9, 0.8, 0.1]]), np.array([[True, False, False]])))["iou@0.5"]
    0.5
    """
    count = sample.truth.count

    def iou(above: tuple) -> np.ndarray:
        return ratio(above[0], count + above[1])

    return {
        "iou@0.5": float(iou(sample.above_half)),
        "iou@adaptive": float(iou(sample.above_adaptive)),
        "iou_curve": iou(sample.above),
    }


def headline(means: Means) -> dict[str, np.ndarray]:
    """Means over images; `@best` is the one threshold that serves the whole set best, read on that same set."""
    best = means["iou_curve"].argmax(-1)
    return {
        "iou_mean@0.5": means["iou@0.5"],
        "iou_mean@adaptive": means["iou@adaptive"],
        "iou_mean@best": means["iou_curve"].max(-1),
        "iou_best_threshold": THRESHOLDS[best],
    }
