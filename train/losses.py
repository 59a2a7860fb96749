"""Losses on logits: binary cross-entropy plus soft Dice."""

from __future__ import annotations

import torch
from torch.nn import functional as F

DICE_SMOOTH = 1.0


def dice_loss(probability: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """1 - soft Dice, smooth 1, per image `[N, 1, H, W]`, then the mean."""
    axes = (1, 2, 3)
    shared = (probability * truth).sum(axes)
    total = probability.sum(axes) + truth.sum(axes)
    return (1 - (2 * shared + DICE_SMOOTH) / (total + DICE_SMOOTH)).mean()


def bce_dice(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """BCE + Dice in float32, the recipe of v1 and v2."""
    logits = logits.float()
    return F.binary_cross_entropy_with_logits(logits, truth) + dice_loss(torch.sigmoid(logits), truth)


LOSSES = {"bce+dice": bce_dice}
