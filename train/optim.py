"""Optimisers and learning-rate schedules by the names that recipes use, and averaged weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch.optim.swa_utils import AveragedModel

from harness.errors import InputError

WARMUP_EPOCHS = 3


def warmup_cosine(optimiser: torch.optim.Optimizer, epochs: int) -> torch.optim.lr_scheduler.LRScheduler:
    """A linear rise over the first epochs, then half a cosine, down to near 0 in the last epoch."""

    def factor(epoch: int) -> float:
        if epoch < WARMUP_EPOCHS:
            return (epoch + 1) / (WARMUP_EPOCHS + 1)
        return 0.5 * (1 + math.cos(math.pi * (epoch - WARMUP_EPOCHS) / max(1, epochs - WARMUP_EPOCHS)))

    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def averaged(student: torch.nn.Module, decay: float) -> AveragedModel:
    """The exponential moving average of a student's weights and statistics; young averages forget faster."""

    def step(average: torch.Tensor, current: torch.Tensor, count: torch.Tensor | int) -> torch.Tensor:
        return average + (current - average) * max(1 - decay, 1 / (int(count) + 1))

    return AveragedModel(student, avg_fn=step, use_buffers=True)


OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
SCHEDULES: dict[str, Callable[[torch.optim.Optimizer, int], torch.optim.lr_scheduler.LRScheduler]] = {
    "cosine": torch.optim.lr_scheduler.CosineAnnealingLR,  # one step per epoch, down to 0
    "warmup-cosine": warmup_cosine,
}

Known = TypeVar("Known")


def named(kind: str, name: str, known: Mapping[str, Known]) -> Known:
    """The entry of `known` that a recipe names; `InputError` lists them."""
    if name not in known:
        raise InputError(f"unknown {kind} {name!r} in the recipe (allowed: {', '.join(known)})")
    return known[name]
