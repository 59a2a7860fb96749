"""Weights between a run's best and those that it began with, which often beat both (Wortsman et al., CVPR 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness.errors import InputError
from harness.files import sha256_of
from train.history import load_best
from train.students.blocks import Student
from train.students.registry import build_student


@dataclass(frozen=True)
class Start:
    """The run that another began from, and which `share` of its best weights joins the average.

    Raises `InputError` for a share that is not between 0 and 1: at 0 and 1 there is nothing to average.
    """

    run: Path
    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise InputError(f"the share of the first weights is {self.share} (allowed: between 0 and 1)")

    @property
    def about(self) -> dict[str, Any]:
        """What a sidecar keeps of this."""
        return {"best_pt_sha256": sha256_of(self.run / "best.pt"), "share": self.share}


@torch.no_grad()
def average_with(student: Student, start: Start, about: Mapping[str, Any]) -> None:
    """Move the weights of `student` towards those that its run, described by `about`, began with.

    Running means and variances of batch normalisation are averaged alike. Raises `InputError` when the run began
    elsewhere: between weights that do not descend from each other lies nothing that works.
    """
    began, best = about.get("started_from", {}).get("best_pt_sha256"), start.run / "best.pt"
    if not best.exists():
        raise InputError(f"{start.run}: no finished epoch yet (allowed: a run with one)")
    if began != (there := sha256_of(best)):
        begun = f"with {began[:12]}" if began else "from scratch"
        raise InputError(
            f"{start.run} holds {there[:12]}, and the run began {begun} (allowed: the run that it was started from)"
        )
    first = build_student(about["recipe"]["student"])
    load_best(first, start.run)
    for kept, old in zip(student.state_dict().values(), first.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(old, start.share)
