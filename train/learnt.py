"""Did this run learn anything? What cannot be so is said in one line, before a model goes out into the world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

ZERO = 1e-6  # an IoU of nothing is as small as its smoothing
STILL = 1e-6  # relative: a loss that moves less is one number in another rounding


class Row(Protocol):
    """An epoch, as a run's history has it."""

    @property
    def loss(self) -> float: ...

    @property
    def selected_by(self) -> float: ...


def doubt(history: Sequence[Row]) -> str | None:
    """Why a run cannot have learnt what it was to learn; None when nothing speaks against it.

    >>> from types import SimpleNamespace as Epoch
    >>> doubt([Epoch(loss=0.7, selected_by=0.4), Epoch(loss=0.5, selected_by=0.6)])
    >>> doubt([Epoch(loss=0.0, selected_by=1.0)])
    'its IoU on the fold is exactly 1, as on masks without an object'
    """
    measured = [row.selected_by for row in history if row.selected_by >= 0]  # -1: not looked at after that epoch
    losses = [row.loss for row in history]
    if measured and max(measured) >= 1:
        return "its IoU on the fold is exactly 1, as on masks without an object"
    if measured and max(measured) <= ZERO:
        return "its IoU on the fold is 0 in every epoch: it marks nothing, or the masks hold nothing"
    if len(losses) > 1 and max(losses) - min(losses) <= STILL * abs(max(losses)):
        return f"its loss never moved: {losses[0]:.6g} in all of {len(losses)} epochs"
    return None
