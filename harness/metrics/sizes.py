"""IoU by the size of the object, with the classes of SOC (Fan et al., Salient Objects in Clutter, ECCV 2018)."""

from __future__ import annotations

import numpy as np

from harness.metrics.base import Means, Metric, Reading, Sample, ratio

SMALL, LARGE = 0.1, 0.5  # share of the image that the object covers
CLASSES = ("small", "medium", "large")
METRICS = tuple(Metric(f"iou_{name}_mean@0.5", per_image=f"iou_{name}@0.5") for name in CLASSES)


def size_class(share: float) -> str:
    """`small` up to a tenth of the image, `large` above a half, `medium` between.

    >>> size_class(0.1), size_class(0.2), size_class(0.6)
    ('small', 'medium', 'large')
    """
    return "small" if share <= SMALL else "large" if share > LARGE else "medium"


def reading(sample: Sample) -> Reading:
    """`object_share`, and `iou@0.5` under the key of the image's size class; NaN under the two others."""
    share = sample.truth.count / sample.values.size
    hits, false = sample.above_half
    iou = float(ratio(hits, sample.truth.count + false))
    classes = {f"iou_{name}@0.5": iou if name == size_class(share) else np.nan for name in CLASSES}
    return {"object_share": share, **classes}


def headline(means: Means) -> dict[str, np.ndarray]:
    """Mean IoU of the images of each class."""
    return {f"iou_{name}_mean@0.5": means[f"iou_{name}@0.5"] for name in CLASSES}
