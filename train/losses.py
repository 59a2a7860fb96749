"""Losses on logits: binary cross-entropy plus a measure of overlap, over all of a student's outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional as F

SMOOTH = 1.0


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


LOSSES = {"bce+dice": bce_dice, "bce+iou": bce_iou}


def supervised(
    loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    outputs: Sequence[torch.Tensor],
    truth: torch.Tensor,
    side_weight: float,
) -> torch.Tensor:
    """The loss of the first output plus `side_weight` times that of each other one, all at the truth's size."""
    losses = [loss_of(_at(logits, truth.shape[2:]), truth) for logits in outputs]
    return losses[0] + side_weight * sum(losses[1:]) if losses[1:] else losses[0]


def _at(logits: torch.Tensor, size: torch.Size) -> torch.Tensor:
    if logits.shape[2:] == size:
        return logits
    return F.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)
