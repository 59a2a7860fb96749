"""F-measure with beta^2 = 0.3 (Achanta et al., CVPR 2009) in the field's two conventions, and the curves under it.

Convention A averages precision and recall over images, then takes F of the averages (SalMetric, U^2-Net's tool).
Convention B takes F per image, then averages F over images (PySODMetrics, most papers on light models).
"""

from __future__ import annotations

import numpy as np

from harness.metrics.base import Means, Metric, Reading, Sample, ratio

METRICS = (
    Metric("maxf_mean_curve"),
    Metric("meanf_mean_curve"),
    Metric("adpf_mean", per_image="f_adaptive"),
    Metric("maxf_pr_averaged"),
    Metric("meanf_pr_averaged"),
    Metric("adpf_pr_averaged"),
)

BETA_SQUARED = 0.3


def f_of(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """`(1 + b) p r / (b p + r)` with b = beta^2 = 0.3, 0 where both are 0.

    >>> float(f_of(np.array(0.5), np.array(1.0)).round(6))
    0.565217
    """
    return ratio((1 + BETA_SQUARED) * precision * recall, BETA_SQUARED * precision + recall)


def reading(sample: Sample) -> Reading:
    """Precision, recall and F at all 256 thresholds (>= t/255) and at the adaptive one, min(2 mean, 1).

    >>> reading(Sample.of(np.array([[1.0, 0.6, 0.0, 0.0]]), np.eye(1, 4, dtype=bool)))["precision_adaptive"]
    1.0
    """
    count = sample.truth.count

    def rates(above: tuple) -> tuple[np.ndarray, np.ndarray]:
        return ratio(above[0], above[0] + above[1]), ratio(above[0], np.full(np.shape(above[0]), count))

    precision, recall = rates(sample.above)
    at_precision, at_recall = rates(sample.above_adaptive)
    return {
        "precision_curve": precision,
        "recall_curve": recall,
        "f_curve": f_of(precision, recall),
        "precision_adaptive": float(at_precision),
        "recall_adaptive": float(at_recall),
        "f_adaptive": float(f_of(at_precision, at_recall)),
    }


def headline(means: Means) -> dict[str, np.ndarray]:
    """`*_mean_curve` is convention B, `*_pr_averaged` is A; max and mean are over the thresholds."""
    averaged = f_of(means["precision_curve"], means["recall_curve"])
    return {
        "maxf_mean_curve": means["f_curve"].max(-1),
        "meanf_mean_curve": means["f_curve"].mean(-1),
        "adpf_mean": means["f_adaptive"],
        "maxf_pr_averaged": averaged.max(-1),
        "meanf_pr_averaged": averaged.mean(-1),
        "adpf_pr_averaged": f_of(means["precision_adaptive"], means["recall_adaptive"]),
    }
