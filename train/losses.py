"""Losses on logits: binary cross-entropy plus a measure of overlap, over all of a student's outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional as F

SMOOTH = 1.0
EDGE_WEIGHT = 5.0


def dice_loss(probability: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """1 - soft Dice, smooth 1, per image `[N, 1, H, W]`, then the mean."""
    shared, total = _overlap(probability, truth)
    return (1 - (2 * shared + SMOOTH) / (total + SMOOTH)).mean()


def bce_dice(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """BCE + Dice in float32, the recipe of v1 and v2."""
    logits = logits.float()
    return F.binary_cross_entropy_with_logits(logits, truth) + dice_loss(torch.sigmoid(logits), truth)


def iou_loss(probability: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """1 - soft IoU, smooth 1, per image `[N, 1, H, W]`, then the mean."""
    shared, total = _overlap(probability, truth)
    return (1 - (shared + SMOOTH) / (total - shared + SMOOTH)).mean()


def _overlap(probability: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Per image, what both share and what they hold in sum."""
    axes = (1, 2, 3)
    return (probability * truth).sum(axes), probability.sum(axes) + truth.sum(axes)


def bce_iou(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """BCE + soft IoU in float32, as BASNet and its followers use them."""
    logits = logits.float()
    return F.binary_cross_entropy_with_logits(logits, truth) + iou_loss(torch.sigmoid(logits), truth)


def structure(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """BCE + soft IoU in float32, pixels near an outline weighing up to six times as much.

    Source: Wei, Wang, Huang, "F3Net", AAAI 2020; the neighbourhood is a twelfth of the picture here as there.
    """
    logits, radius = logits.float(), truth.shape[2] // 24
    around = F.avg_pool2d(truth, (2 * radius + 1, 1), 1, (radius, 0), count_include_pad=False)
    around = F.avg_pool2d(around, (1, 2 * radius + 1), 1, (0, radius), count_include_pad=False)
    weight, axes = 1 + EDGE_WEIGHT * (around - truth).abs(), (1, 2, 3)
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    probability = torch.sigmoid(logits)
    shared = (weight * probability * truth).sum(axes)
    total = (weight * (probability + truth)).sum(axes)
    overlap = 1 - (shared + SMOOTH) / (total - shared + SMOOTH)
    return ((weight * entropy).sum(axes) / weight.sum(axes) + overlap).mean()


LOSSES = {"bce+dice": bce_dice, "bce+iou": bce_iou, "structure": structure}


def supervised(
    loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    outputs: Sequence[torch.Tensor],
    truth: torch.Tensor,
    side_weight: float,
    side_step: int = 1,
) -> torch.Tensor:
    """The loss of the first output plus `side_weight` times that of each other one, all at the truth's size.

    With `side_step` the side outputs are compared at the truth's size over it, which costs its square less.
    """
    coarse = F.avg_pool2d(truth, side_step) if side_step > 1 else truth
    main = loss_of(_at(outputs[0], truth.shape[2:]), truth)
    sides = [loss_of(_at(logits, coarse.shape[2:]), coarse) for logits in outputs[1:]]
    return main + side_weight * sum(sides) if sides else main


def _at(logits: torch.Tensor, size: torch.Size) -> torch.Tensor:
    if logits.shape[2:] == size:
        return logits
    return F.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)
