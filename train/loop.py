"""The training loop: recipe and corpus in, a run folder with weights, history and curve out."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed

from corpora.loader import Pair, content_digest, listing_digest
from harness.errors import HarnessError, InputError
from harness.files import write_json
from harness.jobs.memory import keep_freed_memory
from harness.jobs.provenance import processor_name
from harness.locks import folder_held
from train.augment import Looks, plan_looks
from train.batches import Batches, HostBatches, ResidentBatches, normalised
from train.data import CropPlan, DecodedSet, decoded_set, plan_epoch, plan_views, validation_split
from train.distil import Lesson
from train.fold import fold_digest
from train.history import EpochRow, Progress, checkpoint, draw_curve, load_best, read_about, restore, save, stage_of
from train.losses import LOSSES, supervised
from train.optim import OPTIMISERS, SCHEDULES, averaged, named
from train.precision import autocast, precision_of
from train.recipe import Recipe, recipe_from
from train.square_run import run_squares
from train.students.blocks import Student
from train.students.registry import build_student
from train.validation import ValidationIoU, validation_iou

OF_SQUARES = ("turn", "grey", "paste", "blur", "calm_epochs", "validate_every", "teacher_sees")
"""Keys of a recipe that only runs over square frames look at."""


@dataclass(frozen=True)
class Run:
    """A finished run: where it lies, its best epoch and that epoch's validation IoU; `rank` 0 wrote the folder."""

    folder: Path
    rank: int
    best_epoch: int
    best: ValidationIoU
    history: list[EpochRow]


def _silent(stage: str, done: int, total: int, values: dict[str, float]) -> None:
    """No progress view."""


def train(
    recipe: Recipe,
    pairs: list[Pair],
    folder: Path,
    cache: Path,
    device: str = "auto",
    resume: bool = False,
    threads: int | None = None,
    progress: Progress = _silent,
    more: Sequence[Pair] = (),
    origin: dict[str, Any] | None = None,
    start_from: Path | None = None,
    lesson: Lesson | None = None,
) -> Run:
    """Train a student and return its run; every epoch ends in a checkpoint from which `resume` goes on.

    The validation fold comes from `pairs` alone; `more` pairs, of other corpora, are only trained on. `origin`
    says in `run.json` where they all come from. The weights begin as the best ones of the run `start_from`, if any. A
    `lesson` adds a teacher's maps to the targets. Raises `InputError` for a folder that holds another recipe's run, or
    one that exists without `resume`, and for one that another run writes.
    """
    rank, world = join_group()
    with folder_held(folder) if rank == 0 else nullcontext():
        return _run(
            recipe, pairs, folder, cache, device, resume, threads, progress, more, origin, start_from, lesson,
            rank, world,
        )  # fmt: skip


def _run(
    recipe: Recipe, pairs: list[Pair], folder: Path, cache: Path, device: str, resume: bool, threads: int | None,
    progress: Progress, more: Sequence[Pair], origin: dict[str, Any] | None, start_from: Path | None,
    lesson: Lesson | None, rank: int, world: int,
) -> Run:  # fmt: skip
    chosen_device = pick_device(device)
    optimiser_of = named("optimizer", recipe.optimizer, OPTIMISERS)
    schedule_of = named("schedule", recipe.schedule, SCHEDULES)
    loss_of = named("loss", recipe.loss, LOSSES)
    _refuse_what_does_not_fit(recipe, lesson, world)
    if threads := threads or _threads_of(folder, resume):
        torch.set_num_threads(threads)
    if rank > 0:
        progress = _silent
    if chosen_device.type == "cpu":
        keep_freed_memory()
    torch.manual_seed(recipe.seed)

    pairs = pairs[: recipe.limit] if recipe.limit else pairs
    kept, held = validation_split(len(pairs), recipe.val_fraction, recipe.val_seed)
    trained_on = len(kept) + len(more) + len(lesson.unlabelled if lesson else ())
    if trained_on < recipe.batch_size:
        raise InputError(
            f"{trained_on} pictures to train on do not fill one batch of {recipe.batch_size} "
            f"(allowed: more pictures, or a batch_size up to {trained_on})"
        )
    origin = (origin or {}) | {"fold_sha256": fold_digest(pairs, recipe.val_fraction, recipe.val_seed)}
    if lesson and lesson.unchecked:
        origin["unchecked"] = [*dict.fromkeys([*origin.get("unchecked", ()), *lesson.unchecked])]
    if rank == 0:
        taught = {"teacher": lesson.about} if lesson else {}
        _claim(folder, recipe, [*pairs, *more], taught | origin, chosen_device, world, resume, start_from)
    if recipe.frame_side:

        def begin(student: Student) -> None:
            if start_from:
                load_best(student, start_from)

        history = run_squares(
            recipe, pairs, kept, held, more, folder, cache, chosen_device, resume, progress, begin, lesson
        )
        return _finished(folder, recipe, rank, history)
    data, held_data = _decode_in_turn(pairs, list(more), recipe, cache, rank, world, progress)
    kept += range(len(pairs), len(pairs) + len(more))

    student = build_student(recipe.student).to(chosen_device)
    if start_from:
        load_best(student, start_from)
    student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = optimiser_of(student.parameters(), recipe.lr, weight_decay=recipe.weight_decay)
    schedule = schedule_of(optimiser, recipe.epochs)
    average = averaged(student, recipe.ema) if recipe.ema else None
    shipped = average.module if average else student
    parts = {"student": student, "optimiser": optimiser, "schedule": schedule}
    if average:
        parts["average"] = average
    history = list[EpochRow]()
    if resume and (folder / "checkpoint.pt").exists():
        history = restore(folder, parts, chosen_device)

    forward = _forward(student, chosen_device, world)
    batches = _batches(data, chosen_device)
    slices = rank_slices(len(kept), recipe.batch_size, rank, world)
    best_iou = max((row.selected_by for row in history), default=-1.0)
    for epoch in range(len(history) + 1, recipe.epochs + 1):
        started, total_loss, seen = time.monotonic(), 0.0, 0
        lr = float(schedule.get_last_lr()[0])
        student.train()
        plan, looks = _epoch_plan(data, kept, recipe, epoch)
        for step, (images, truth) in enumerate(batches.epoch(plan, slices, recipe.size_at(epoch), looks), 1):
            optimiser.zero_grad(set_to_none=True)
            with autocast(chosen_device):
                outputs = forward(images)
            loss = supervised(loss_of, outputs, truth, recipe.side_weight)
            loss.backward()
            optimiser.step()
            if average:
                average.update_parameters(student)
            total_loss += float(loss.detach())
            seen += len(images) * world
            speed = seen / (time.monotonic() - started)
            values = {"loss": total_loss / step, "images/s": speed}
            progress(f"epoch {epoch}/{recipe.epochs}", step, len(slices), values)
        if not np.isfinite(total_loss):
            raise HarnessError(f"epoch {epoch}: the loss is {total_loss}; lower the learning rate")
        schedule.step()
        shipped.eval()
        maps = _maps(shipped, chosen_device)
        score = validation_iou(maps, held_data, held, recipe.crop_size)
        whole = None
        if recipe.val_view == "whole":
            whole = validation_iou(maps, held_data, held, recipe.crop_size, "whole").per_image
        seconds = time.monotonic() - started
        row = EpochRow(epoch, total_loss / len(slices), score.batched, score.per_image, lr, speed, seconds, whole)
        history.append(row)
        if rank == 0:
            if row.selected_by > best_iou:
                best_iou = row.selected_by
                save(folder / "best.pt", {"student": shipped.state_dict(), "row": asdict(row)})
            checkpoint(folder, parts, history)
            progress("validated", epoch, recipe.epochs, {"loss": row.loss, "IoU": row.selected_by})
    if rank == 0:
        save(folder / "final.pt", {"student": shipped.state_dict()})
    return _finished(folder, recipe, rank, history)


def _refuse_what_does_not_fit(recipe: Recipe, lesson: Lesson | None, world: int) -> None:
    """Before a folder is claimed: values of a recipe that are good each, and not together or for its student."""
    if lesson and not recipe.frame_side:
        raise InputError(
            f"a teacher needs a recipe with frame_side, and {recipe.student}'s has none "
            f"(allowed: set it, and smallest_view, or a student whose recipe has both)"
        )
    if recipe.frame_side and world > 1:
        raise InputError(f"a recipe with frame_side trains in one process, not in {world} (allowed: without torchrun)")
    if recipe.frame_side and recipe.smallest_view is None:
        raise InputError("a recipe with frame_side needs smallest_view (allowed: a number above 0, at most 1)")
    _refuse_what_would_do_nothing(recipe)
    multiple = build_student(recipe.student).views_multiple_of
    for key, side in (("crop_size", recipe.crop_size), ("small_size", recipe.small_size)):
        if side % multiple:
            raise InputError(f"{key} is {side} (allowed for {recipe.student}: multiples of {multiple})")


def _refuse_what_would_do_nothing(recipe: Recipe) -> None:
    """Values that this way of training does not look at, though the run would say that it had them."""
    if recipe.frame_side:
        why, only = "with a frame_side", {"optimizer": "adamw", "schedule": "warmup-cosine"}
    else:
        why, only = "without a frame_side", {key: getattr(Recipe, key) for key in OF_SQUARES}
    idle: dict[str, tuple[str, Any]] = {key: (why, value) for key, value in only.items()}
    if recipe.smallest_view is None:
        idle["widest_view"] = "without a smallest_view", Recipe.widest_view
    for key, (why, value) in idle.items():
        if (found := getattr(recipe, key)) != value:
            raise InputError(f"{key} is {found!r}, which does nothing {why} (allowed for this recipe: {value!r})")


def _finished(folder: Path, recipe: Recipe, rank: int, history: list[EpochRow]) -> Run:
    best = max(history, key=lambda row: row.selected_by)
    if rank == 0:
        draw_curve(history, folder / "curve.png", f"{recipe.student}, seed {recipe.seed}")
    assert best.val_iou is not None and best.val_iou_per_image is not None
    return Run(folder, rank, best.epoch, ValidationIoU(best.val_iou, best.val_iou_per_image), history)


def pick_device(name: str) -> torch.device:
    """`auto`, `cpu` or `cuda` to a device; `InputError` for CUDA that is not there."""
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"unknown device {name!r} (allowed: auto, cpu, cuda)")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda was asked for, and torch finds none (allowed here: cpu)")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def join_group() -> tuple[int, int]:
    """`(rank, world size)`; joins the process group when `torchrun` started us."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1 and not distributed.is_initialized():
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return (distributed.get_rank(), world) if world > 1 else (0, 1)


def rank_slices(count: int, batch_size: int, rank: int, world: int) -> list[slice]:
    """The slices of an epoch's samples that one rank trains on; the last partial batch is dropped.

    >>> rank_slices(100, 32, 1, 2)[0]
    slice(16, 32, None)
    """
    if batch_size % world:
        raise InputError(f"batch size {batch_size} does not divide among {world} processes")
    share = batch_size // world
    starts = range(0, count - batch_size + 1, batch_size)
    return [slice(start + rank * share, start + (rank + 1) * share) for start in starts]


def _claim(
    folder: Path, recipe: Recipe, pairs: list[Pair], origin: dict[str, Any],
    device: torch.device, world: int, resume: bool, start_from: Path | None,
) -> None:  # fmt: skip
    described: dict[str, Any] = {
        "recipe": recipe.as_dict(),
        "pairs": len(pairs),
        "listing_sha256": listing_digest(pairs),
        "content_sha256": content_digest(pairs),
        "world_size": world,
    }
    if start_from:
        described["started_from"] = _stage(start_from, recipe.student)
    about = folder / "run.json"
    if about.exists():
        if not resume:
            raise InputError(f"{folder} holds a run already (allowed: --resume, or another --out)")
        found = read_about(folder)
        # keys that the run did not know yet get their defaults
        found["recipe"] = recipe_from(found["recipe"], folder).as_dict()
        found.setdefault("content_sha256", described["content_sha256"])
        if start_from and "started_from" in found and "corpora" in described["started_from"]:
            found["started_from"].setdefault("corpora", described["started_from"]["corpora"])
        for key, value in ({"started_from": None} | described | {"teacher": origin.get("teacher")}).items():
            if found.get(key) != value:
                there, here = _differing(found.get(key), value)
                allowed = "(allowed: as it began, or another --out)"
                raise InputError(f"{folder}: cannot resume, its {key} is {there}, not {here} {allowed}")
    else:
        versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
        machine = {
            "device": device.type, "processor": device_name(device), "threads": torch.get_num_threads(),
            "precision": precision_of(device),
        }  # fmt: skip
        write_json(about, described | origin | {"versions": versions, "machine": machine})


def _differing(there: Any, here: Any) -> tuple[Any, ...]:
    """Two values, of mappings just what differs; a run against none is told by its weights."""
    if not (isinstance(there, dict) and isinstance(here, dict)):
        return tuple(
            value.get("best_pt_sha256", value) if isinstance(value, dict) else value for value in (there, here)
        )
    keys = [key for key in there | here if there.get(key) != here.get(key)]
    return {key: there.get(key) for key in keys}, {key: here.get(key) for key in keys}


def _stage(folder: Path, student: str) -> dict[str, Any]:
    """What a later run keeps of the one whose best weights it starts from; `InputError` for another student's."""
    about = read_about(folder)
    if about["recipe"]["student"] != student:
        raise InputError(f"{folder} trained {about['recipe']['student']}, not {student} (allowed: a run of {student})")
    return stage_of(folder)


def _threads_of(folder: Path, resume: bool) -> int | None:
    """A resumed run keeps its thread count: sums split otherwise would round otherwise."""
    held = resume and (folder / "run.json").exists()
    return int(read_about(folder)["machine"]["threads"]) if held else None


def device_name(device: torch.device) -> str:
    """The GPU's or CPU's model name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()


def _decode_in_turn(
    pairs: list[Pair], more: list[Pair], recipe: Recipe, cache: Path, rank: int, world: int, progress: Progress
) -> tuple[DecodedSet, DecodedSet]:
    if world > 1 and rank > 0:
        distributed.barrier()  # rank 0 fills the cache first

    def decode(chosen: list[Pair], short_side: int) -> DecodedSet:
        return decoded_set(chosen, short_side, cache, lambda done, total: progress("decoding", done, total, {}))

    decoded = decode(pairs + more, recipe.short_side), decode(pairs, recipe.val_short_side)
    if world > 1 and rank == 0:
        distributed.barrier()
    return decoded


def _epoch_plan(data: DecodedSet, kept: list[int], recipe: Recipe, epoch: int) -> tuple[CropPlan, Looks | None]:
    if recipe.smallest_view is None:
        plan = plan_epoch(data, kept, recipe.size_at(epoch), recipe.seed, epoch)
    else:
        plan = plan_views(data, kept, recipe.smallest_view, recipe.seed, epoch, recipe.widest_view)
    if not (recipe.colour or recipe.compression):
        return plan, None
    return plan, plan_looks(len(kept), recipe.colour, recipe.compression, recipe.seed, epoch)


def _forward(student: Student, device: torch.device, world: int) -> Callable[[torch.Tensor], tuple[torch.Tensor, ...]]:
    if world > 1:
        return torch.nn.parallel.DistributedDataParallel(_Outputs(student))
    if device.type == "cuda":
        return torch.compile(student.outputs)
    return student.outputs  # on the CPU compiled code was measured slower than oneDNN's own


class _Outputs(torch.nn.Module):
    """`outputs` as a module of its own, which data-parallel training wraps."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.student.outputs(images)


def _batches(data: DecodedSet, device: torch.device) -> Batches:
    return ResidentBatches(data, device) if device.type == "cuda" else HostBatches(data, device)


def _maps(student: torch.nn.Module, device: torch.device) -> Callable[[np.ndarray], np.ndarray]:
    @torch.inference_mode()
    def maps(images: np.ndarray) -> np.ndarray:
        return student(normalised(torch.from_numpy(images).to(device)))[:, 0].cpu().numpy()

    return maps
