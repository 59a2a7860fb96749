"""Optimisers and learning-rate schedules by the names that recipes use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch

from harness.errors import InputError

OPTIMISERS = {"adam": torch.optim.Adam}
SCHEDULES = {"cosine": torch.optim.lr_scheduler.CosineAnnealingLR}  # one step per epoch, down to 0

Known = TypeVar("Known")


def named(kind: str, name: str, known: Mapping[str, Known]) -> Known:
    """The entry of `known` that a recipe names; `InputError` lists them."""
    if name not in known:
        raise InputError(f"unknown {kind} {name!r} in the recipe (allowed: {', '.join(known)})")
    return known[name]
