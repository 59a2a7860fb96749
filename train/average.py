"""Weights between a run's best and those that it began with, which often beat both (Wortsman et al., CVPR 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness.errors import InputError
from harness.files import sha256_of
from train.history import best_of, load_best, read_about
from train.students.blocks import Student
from train.students.registry import build_student


@dataclass(frozen=True)
class Start:
    """A run that another began from, and which `share` of its best weights joins the average.

    Raises `InputError` for a share that is below 0, or that leaves nothing of the other.
    """

    run: Path
    share: float

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise InputError(f"the share of the first weights is {self.share:g} (allowed: from 0 to below 1)")

    @property
    def about(self) -> dict[str, Any]:
        """What a sidecar keeps of this."""
        return {"best_pt_sha256": sha256_of(self.run / "best.pt"), "share": self.share}


@torch.no_grad()
def average_with(student: Student, starts: Sequence[Start], about: Mapping[str, Any]) -> None:
    """Move the weights of `student` towards those that its run, described by `about`, began with.

    A second start is what the first began with, and so on; the run's own weights keep what the shares leave. Running
    means and variances of batch normalisation are averaged alike.

    Raises:
        InputError: When shares leave nothing of the run or all of it, or it began elsewhere: between weights that do
            not descend from each other lies nothing that works.
    """
    if not 0 < (left := 1 - sum(start.share for start in starts)) < 1:
        raise InputError(f"the starts' shares leave {left:g} for the run itself (allowed: between 0 and 1)")
    first = []
    for start in starts:
        first.append(_weights(start, about))
        about = read_about(start.run)
    for name, kept in student.state_dict().items():
        if kept.is_floating_point():
            kept.mul_(left)
            for start, weights in zip(starts, first, strict=True):
                kept.add_(weights[name], alpha=start.share)


def _weights(start: Start, about: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The best weights of `start`, if the run that `about` describes began with them."""
    began = about.get("started_from", {}).get("best_pt_sha256")
    if began != (there := sha256_of(best_of(start.run))):
        begun = f"with {began[:12]}" if began else "from scratch"
        raise InputError(
            f"{start.run} holds {there[:12]}, and the run began {begun} (allowed: the run that it was started from)"
        )
    student = build_student(about["recipe"]["student"])
    load_best(student, start.run)
    return student.state_dict()
