"""A training run over square frames, for recipes with a `frame_side`; `train.loop` claims the folder and hands over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from corpora.loader import Pair, content_digest
from harness.files import sha256_of
from train.batches import normalised
from train.data import decoded_set
from train.distil import Lesson, kept_maps, load_teacher
from train.graph import Learner, Steps, learner
from train.history import EpochRow, Progress, checkpoint, restore, save
from train.losses import LOSSES
from train.optim import named
from train.recipe import Recipe
from train.resident import Course, Epoch, run_course
from train.squares import square_frames
from train.students.blocks import Student
from train.students.registry import build_student
from train.validation import validation_iou
from train.views import ViewRanges


def run_squares(
    recipe: Recipe, pairs: list[Pair], kept: Sequence[int], held: Sequence[int], more: Sequence[Pair], folder: Path,
    cache: Path, device: torch.device, resume: bool, progress: Progress, begin: Callable[[Student], None],
    lesson: Lesson | None = None,
) -> list[EpochRow]:  # fmt: skip
    """Train on `pairs[kept]`, `more` and the lesson's pictures; returns the history, the folder holds the rest.

    `begin` may give the new student its first weights. On CUDA a lesson's teacher looks at every view; on the CPU its
    maps of the whole pictures are made once and kept.
    """
    side = recipe.frame_side
    assert side
    torch.backends.cudnn.benchmark = device.type == "cuda"  # sizes are few and fixed
    without = lesson.unlabelled if lesson else ()
    everything = [*pairs, *more, *without]
    host = square_frames(everything, side, cache, lambda done, total: progress("decoding", done, total, {}))
    frames = torch.from_numpy(host).to(device)
    order = torch.tensor([*kept, *range(len(pairs), len(everything))], device=device)
    labelled = torch.arange(len(everything), device=device) < len(everything) - len(without) if without else None
    teacher, maps = _taught(lesson, everything, host, cache, device, progress, recipe.teacher_sees == "frame")

    torch.manual_seed(recipe.seed)  # whatever a teacher took, the student's first weights are the same
    student = build_student(recipe.student)
    begin(student)
    one = learner(student, build_student(recipe.student), recipe.weight_decay, device)
    history = list[EpochRow]()
    parts = {"student": one.net, "average": one.average, "optimiser": one.optimiser}
    if resume and (folder / "checkpoint.pt").exists():
        history = restore(folder, parts, device)
        for group in one.optimiser.param_groups:
            group["lr"] = one.rate
    steps = Steps(
        frames, order, [one], named("loss", recipe.loss, LOSSES), _ranges(recipe), recipe.batch_size,
        recipe.side_weight, teacher, lesson.weight if lesson else 0.0, maps=maps, labelled=labelled,
        calm=replace(_ranges(recipe), turn=0.0, grey=0.0, paste=0.0, blur=0.0),
    )  # fmt: skip
    course = Course(
        recipe.lr, recipe.ema, (recipe.small_size, recipe.crop_size), recipe.small_epochs / recipe.epochs,
        recipe.epochs, validate_every=recipe.validate_every, calm_from=1 - recipe.calm_epochs / recipe.epochs,
    )  # fmt: skip
    done = _Recorder(recipe, pairs, held, folder, cache, device, one, parts, history, steps, progress)
    run_course(
        steps, course, done.scores, done.epoch, begun=len(history), seed=recipe.seed, stepped=done.stepped
    )  # fmt: skip
    save(folder / "final.pt", {"student": one.average.state_dict()})
    return history


class _Recorder:
    """Validates and writes down what `run_course` does."""

    def __init__(
        self, recipe: Recipe, pairs: list[Pair], held: Sequence[int], folder: Path, cache: Path, device: torch.device,
        one: Learner, parts: dict[str, Any], history: list[EpochRow], steps: Steps, progress: Progress,
    ) -> None:  # fmt: skip
        self.recipe, self.held, self.folder, self.device = recipe, held, folder, device
        self.one, self.parts, self.history, self.steps, self.progress = one, parts, history, steps, progress
        self.data = decoded_set(pairs, recipe.val_short_side, cache)
        self.best = max((row.selected_by for row in history), default=-1.0)

    def scores(self, net: Student) -> dict[str, float]:
        """IoU on the fold's crops by both averages, and on whole pictures where the recipe selects by those."""
        size = self.recipe.crop_size
        crops = validation_iou(self._maps(net), self.data, self.held, size)
        found = {"val_iou": crops.batched, "val_iou_per_image": crops.per_image}
        if self.recipe.val_view == "whole":
            found["val_iou_whole"] = validation_iou(self._maps(net), self.data, self.held, size, "whole").per_image
        return found

    def epoch(self, epoch: Epoch) -> None:
        """Add a row, keep the best weights and a checkpoint."""
        speed = self.steps.per_epoch * self.steps.batch / epoch.seconds
        scores: dict[str, Any] = epoch.scores[0] if epoch.scores else {"val_iou": None, "val_iou_per_image": None}
        row = EpochRow(
            epoch=epoch.number, loss=epoch.losses[0], lr=epoch.rate, images_per_second=speed, seconds=epoch.seconds,
            **scores,
        )  # fmt: skip
        self.history.append(row)
        if row.selected_by > self.best:
            self.best = row.selected_by
            save(self.folder / "best.pt", {"student": self.one.average.state_dict(), "row": asdict(row)})
        checkpoint(self.folder, self.parts, self.history)
        values = {"loss": row.loss, "images/s": speed} | ({"IoU": row.selected_by} if epoch.scores else {})
        self.progress("epochs", epoch.number, self.recipe.epochs, values)

    def stepped(self, epoch: int, step: int, seconds: float) -> None:
        """Say how far an epoch has come."""
        speed = {"images/s": step * self.steps.batch / seconds}
        self.progress(f"epoch {epoch}/{self.recipe.epochs}", step, self.steps.per_epoch, speed)

    def _maps(self, net: Student) -> Callable[[np.ndarray], np.ndarray]:
        @torch.inference_mode()
        def maps(images: np.ndarray) -> np.ndarray:
            return net(normalised(torch.from_numpy(images).to(self.device)))[:, 0].cpu().numpy()

        return maps


def _taught(
    lesson: Lesson | None, everything: list[Pair], host: np.ndarray, cache: Path, device: torch.device,
    progress: Progress, once: bool,
) -> tuple[Student | None, torch.Tensor | None]:  # fmt: skip
    """The teacher itself for CUDA, or its kept maps for the CPU, and for CUDA too when it looks `once`."""
    if not lesson:
        return None, None
    teacher = load_teacher(lesson.run)
    if device.type == "cuda" and not once:
        return teacher.to(device, torch.bfloat16), None
    key = f"{sha256_of(lesson.run / 'best.pt')[:16]}-{content_digest(everything)[:16]}-{host.shape[1]}"
    teacher.to(device)
    kept = kept_maps(teacher, key, host, cache, lambda done, total: progress("teacher's maps", done, total, {}))
    return None, torch.from_numpy(kept).to(device)


def _ranges(recipe: Recipe) -> ViewRanges:
    assert recipe.smallest_view is not None
    return ViewRanges(
        recipe.smallest_view, recipe.widest_view, recipe.colour, recipe.compression, recipe.turn, recipe.grey,
        recipe.paste, recipe.blur,
    )  # fmt: skip
