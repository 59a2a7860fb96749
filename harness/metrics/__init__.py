"""Measures of a saliency map against a ground-truth mask; `docs/measures.md` has the formulas and conventions."""

from __future__ import annotations

from harness.errors import InputError
from harness.metrics import (
    blocks,
    dice,
    distributions,
    drift,
    emeasure,
    fmeasure,
    iou,
    mae,
    plcc,
    reliability,
    sizes,
    smeasure,
    weightedf,
)
from harness.metrics.base import Means, Measure, Metric, Reading, Sample, Sums, Truth

__all__ = [
    "MEASURES",
    "METRICS",
    "Means",
    "Measure",
    "Metric",
    "Reading",
    "Sample",
    "Sums",
    "Truth",
    "headline",
    "metric",
    "reading",
]

MEASURES: tuple[Measure, ...] = (
    iou,
    blocks,
    sizes,
    dice,
    fmeasure,
    weightedf,
    smeasure,
    emeasure,
    plcc,
    mae,
    distributions,
    reliability,
)

_KEYED: tuple[tuple[Metric, ...], ...] = (*(measure.METRICS for measure in MEASURES), drift.METRICS)
METRICS: dict[str, Metric] = {found.key: found for keyed in _KEYED for found in keyed}
"""Every number of a set by its key."""


def metric(key: str) -> Metric:
    """The metric of a key; `InputError` lists what exists."""
    if key not in METRICS:
        raise InputError(f"unknown measure {key!r} (allowed: {', '.join(METRICS)})")
    return METRICS[key]


def reading(sample: Sample) -> Reading:
    """All measures of one image, by key."""
    return {key: value for measure in MEASURES for key, value in measure.reading(sample).items()}


def headline(means: Means) -> dict:
    """All numbers of a set, by key; the leading axes of `means` (resamples) are kept."""
    found = {key: value for measure in MEASURES for key, value in measure.headline(means).items()}
    return found | drift.headline(means)
