"""Validation IoU by upstream's protocol: centre crops, threshold .5, mean within batches of 32, then over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from train.data import DecodedSet, centre_crops, whole_views

SMOOTH = 1e-6
BATCH = 32
VIEWS = {"crop": centre_crops, "whole": whole_views}


@dataclass(frozen=True)
class ValidationIoU:
    """`batched` is the published number; `per_image` weighs every image alike."""

    batched: float
    per_image: float


def validation_iou(
    maps: Callable[[np.ndarray], np.ndarray], data: DecodedSet, chosen: Sequence[int], size: int, view: str = "crop"
) -> ValidationIoU:
    """Evaluate `maps` (uint8 RGB `[B, s, s, 3]` to float `[B, s, s]`) on the chosen pairs' centre crops.

    With the view `whole` it is the whole pictures, scaled to `size` x `size`.
    """
    values = []
    for first in range(0, len(chosen), BATCH):
        images, masks = VIEWS[view](data, chosen[first : first + BATCH], size)
        predicted, truth = maps(images) >= 0.5, masks > 0
        shared = (predicted & truth).sum((1, 2))
        either = (predicted | truth).sum((1, 2))
        values.append((shared + SMOOTH) / (either + SMOOTH))
    return ValidationIoU(
        batched=float(np.mean([batch.mean() for batch in values])),
        per_image=float(np.concatenate(values).mean()),
    )
