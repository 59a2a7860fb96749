"""Weights between those of runs with a common origin, which often beat each (Wortsman et al., ICML 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness.errors import InputError
from harness.files import sha256_of
from train.history import best_of, load_best, read_about, stage_of
from train.students.blocks import Student
from train.students.registry import build_student


@dataclass(frozen=True)
class Part:
    """A run, and which `share` of an average its best weights are.

    Raises `InputError` for a share that is below 0, or that leaves nothing to others.
    """

    run: Path
    share: float

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise InputError(f"the share of {self.run} is {self.share:g} (allowed: from 0 to below 1)")

    @property
    def about(self) -> dict[str, Any]:
        """What a sidecar keeps of this: the share, and what these weights have seen."""
        seen = ("best_pt_sha256", "corpora", "pairs", "listing_sha256", "fold_sha256", "started_from")
        return {key: value for key, value in stage_of(self.run).items() if key in seen} | {"share": self.share}


@torch.no_grad()
def average_with(student: Student, run: Path, parts: Sequence[Part]) -> None:
    """Move the weights of `student`, which are the best of `run`, towards those of other runs.

    The run's own weights keep what the shares leave. Running means and variances of batch normalisation are averaged
    alike.

    Raises:
        InputError: When shares leave nothing of the run or all of it, or a run has no origin in common with it, be it
            one of the two: between weights that do not descend from each other lies nothing that works.
    """
    if not 0 < (left := 1 - sum(part.share for part in parts)) < 1:
        raise InputError(f"the shares leave {left:g} for the run itself (allowed: between 0 and 1)")
    origins = _origins(run)
    if strangers := [part.run for part in parts if not _origins(part.run) & origins]:
        raise InputError(
            f"{strangers[0]} has no origin in common with {run} "
            "(allowed: what it began with, or what began where it did)"
        )
    others = [_weights(part.run) for part in parts]
    for name, kept in student.state_dict().items():
        if kept.is_floating_point():
            kept.mul_(left)
            for part, weights in zip(parts, others, strict=True):
                kept.add_(weights[name], alpha=part.share)


def _weights(run: Path) -> dict[str, torch.Tensor]:
    """The best weights of a run."""
    student = build_student(read_about(run)["recipe"]["student"])
    load_best(student, run)
    return student.state_dict()


def _origins(run: Path) -> set[str]:
    """The weights of a run and all that it descends from, by their hashes."""
    found = {sha256_of(best_of(run))}
    stage: Mapping[str, Any] | None = read_about(run).get("started_from")
    while stage:
        found.add(stage["best_pt_sha256"])
        stage = stage.get("started_from")
    return found
