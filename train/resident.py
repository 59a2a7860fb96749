"""Training with everything on the device: frames kept there, steps from `train.graph`, one wait an epoch.

The schedule runs over progress from 0 to 1, not over steps, so that a run can also be told when to be done: it then
measures what an epoch takes and fits as many as there is time for.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from harness.errors import HarnessError
from train.graph import Steps
from train.students.blocks import Student
from train.views import MEAN, STD, sampled

WARM_SHARE = 0.03  # of the run, in which the learning rate rises


@dataclass(frozen=True)
class Course:
    """A run's length and sizes: `epochs`, or as many as end by `deadline` (of `time.monotonic`)."""

    rate: float
    decay: float
    sizes: tuple[int, ...]
    small_share: float = 0.0
    epochs: int | None = None
    deadline: float | None = None
    validate_every: int = 1
    dense_from: float = 0.9  # progress from which every epoch is validated
    calm_from: float = 1.0  # progress from which views are calm

    def rate_at(self, progress: float) -> float:
        """A linear rise, then half a cosine down to 0."""
        if progress < WARM_SHARE:
            return self.rate * (progress / WARM_SHARE + 0.02)
        return self.rate * 0.5 * (1 + math.cos(math.pi * (progress - WARM_SHARE) / (1 - WARM_SHARE)))

    def size_at(self, progress: float) -> int:
        """The side of the views."""
        return self.sizes[0] if progress < self.small_share else self.sizes[-1]


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave: losses and scores per learner, in their order; `scores` is empty where none were taken."""

    number: int
    progress: float
    size: int
    rate: float
    seconds: float
    losses: list[float]
    scores: list[dict[str, float]]


def run_course(
    steps: Steps,
    course: Course,
    validate: Callable[[Student], dict[str, float]],
    done: Callable[[Epoch], None],
    say: Callable[[str], None] = lambda text: None,
    begun: int = 0,
    seed: int | None = None,
    stepped: Callable[[int, int, float], None] = lambda epoch, step, seconds: None,
) -> int:
    """Train `steps` along `course`; `done` hears of every epoch. Returns how many there were.

    `begun` epochs of a course of fixed length are done already. With a `seed` every epoch is a function of it and of
    the epoch's number alone, so that a resumed run goes on as it would have. On a CPU, where an epoch takes minutes,
    `stepped` hears of every step and of the seconds that the epoch has run. Raises `HarnessError` when a loss is no
    longer finite; `done` does not hear of that epoch, so that what it kept of those before stays good.
    """
    seconds = _timed(steps, course, say) if steps.cuda or course.deadline else {}
    progress, number, averaged_steps = begun / (course.epochs or 1), begun, begun * steps.per_epoch
    while progress < 1:
        left = _epochs_left(course, progress, number, seconds)
        if left < 1:
            break
        started, size, calm = time.monotonic(), course.size_at(progress), progress >= course.calm_from
        gain = (1 - progress) / left
        if seed is not None:
            torch.manual_seed(seed * 1_000_003 + number)
        steps.start_epoch()
        for step in range(steps.per_epoch):
            averaged_steps += 1
            rate = course.rate_at(progress + gain * step / steps.per_epoch)
            steps.run(size, rate, min(course.decay, 1 - 1 / (averaged_steps + 1)), calm)
            if not steps.cuda:
                stepped(number + 1, step + 1, time.monotonic() - started)
        losses = [float(one.loss_sum) / steps.per_epoch for one in steps.learners]  # waits for the device
        number += 1
        if not all(map(math.isfinite, losses)):
            said = f"loss is {losses[0]}" if len(losses) == 1 else f"losses are {losses}"
            raise HarnessError(f"epoch {number}: the {said}; lower the learning rate")
        fixed = number / (course.epochs or 1)  # to the bit what a resumed run begins with
        progress = fixed if course.deadline is None else 1.0 if left < 2 else progress + gain
        due = progress >= course.dense_from or number % course.validate_every == 0
        scores = [validate(one.average) for one in steps.learners] if due else []
        spent = time.monotonic() - started
        seconds[size] = 0.7 * seconds.get(size, spent) + 0.3 * spent
        done(Epoch(number, progress, size, rate, spent, losses, scores))
    return number


def _timed(steps: Steps, course: Course, say: Callable[[str], None]) -> dict[int, float]:
    """Capture every size, and how long an epoch takes at it; what these steps move is put back."""
    seconds = {}
    before = steps.remembered()
    stages = [(size, False) for size in dict.fromkeys(course.sizes)]
    if course.calm_from < 1:
        stages.insert(-1, (course.sizes[-1], True))  # before its loud twin, whose time an epoch is counted with
    for size, calm in stages:
        for one in steps.learners:
            one.rate.fill_(course.rate * 0.01)
        steps.forget.fill_(1.0)
        begun = time.monotonic()
        how = steps.capture(size, calm)
        ready = time.monotonic()
        count = 10 if steps.cuda else 1
        for _ in range(count):
            steps.run(size, course.rate * 0.01, 0.0, calm)
        float(steps.learners[0].loss_sum)
        step = (time.monotonic() - ready) / count
        seconds[size] = step * steps.per_epoch
        say(f"size {size}: {how} in {ready - begun:.1f} s, {step * 1e3:.2f} ms a step, {seconds[size]:.2f} s an epoch")
    steps.put_back(before)
    return seconds


def _epochs_left(course: Course, progress: float, number: int, seconds: dict[int, float]) -> int:
    if course.deadline is None:
        return (course.epochs or 1) - number
    small = max(0.0, course.small_share - progress) / (1 - progress)
    each = small * seconds[course.sizes[0]] + (1 - small) * seconds[course.sizes[-1]]
    return int((course.deadline - time.monotonic()) / each)


def fold_scores(
    net: Student, frames: torch.Tensor, aspects: torch.Tensor, size: int, batch: int = 64
) -> dict[str, float]:
    """IoU at .5 and MAE per picture, averaged, of `frames` uint8 `[N, S, S, 4]`, at views as `train.validation` has.

    `aspects` `[N]`, width over height of what was squashed to a square. Keys: `iou_whole`, `mae_whole`, `iou_wide`,
    `iou_crop`; the crop is cut from the stored square, so close to upstream's and not the same.
    """
    device = frames.device
    mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (MEAN, STD))
    one = torch.ones_like(aspects)
    views = {
        "whole": (one, one),
        "wide": (2 * one, 2 * one),
        "crop": ((1 / aspects).clamp(max=1), aspects.clamp(max=1)),
    }
    sums = dict.fromkeys(("iou_whole", "mae_whole", "iou_wide", "iou_crop"), 0.0)
    for name, (width, height) in views.items():
        for first in range(0, len(frames), batch):
            part = slice(first, first + batch)
            pictures = frames[part].permute(0, 3, 1, 2).float() / 255
            theta = torch.zeros(len(pictures), 2, 3, device=device)
            theta[:, 0, 0], theta[:, 1, 1] = width[part], height[part]
            seen = F.avg_pool2d(sampled(pictures, theta, 2 * size), 2)
            truth = seen[:, 3] > 0.5
            with torch.inference_mode():
                logits = net.outputs((seen[:, :3] - mean) / std)[0].float()
                logits = F.interpolate(logits, size=(size, size), mode="bilinear", align_corners=False)
                maps = torch.sigmoid(logits)[:, 0]
            found = maps >= 0.5
            shared, either = (found & truth).sum((1, 2)), (found | truth).sum((1, 2))
            sums[f"iou_{name}"] += float(((shared + 1e-6) / (either + 1e-6)).sum())
            if name == "whole":
                sums["mae_whole"] += float((maps - truth.float()).abs().mean((1, 2)).sum())
    return {name: value / len(frames) for name, value in sums.items()}
