"""What a trained teacher adds to a student's target: its map of the same view, and pictures that have no mask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from corpora.duplicates import duplicates
from corpora.loader import Pair
from harness.errors import InputError
from harness.files import sha256_of, whole_file
from harness.locks import file_held
from harness.media.pictures import PICTURE_SUFFIXES
from train.data import mapped, mapped_anew
from train.history import load_best, read_about
from train.precision import autocast
from train.students.blocks import Student
from train.students.registry import build_student
from train.views import MEAN, STD

BATCH = 16
BLOCK = 512
FOR_EVER = float("inf")  # a killed holder lets go
SEEN_AT = 256  # the teacher's own size of view


@dataclass(frozen=True)
class Lesson:
    """A teacher's run, how much of its map joins each target, and pictures for which its map is all of it.

    `rejected` pictures were left out as duplicates of tested ones; `unchecked` names test sets that were not at hand
    for that. Raises `InputError` for a weight outside of 0 to 1.
    """

    run: Path
    weight: float = 0.7
    unlabelled: tuple[Pair, ...] = ()
    rejected: int = 0
    unchecked: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise InputError(f"teacher weight is {self.weight} (allowed: a number from 0 to 1)")

    @property
    def about(self) -> dict[str, Any]:
        """What a run folder keeps of this."""
        return {
            "student": read_about(self.run)["recipe"]["student"],
            "best_pt_sha256": sha256_of(self.run / "best.pt"),
            "weight": self.weight,
            "unlabelled": len(self.unlabelled),
            "unlabelled_rejected": self.rejected,
        }


def load_teacher(run: Path) -> Student:
    """The network of a run with its best weights, for looking only; `InputError` when the run has none."""
    if not (run / "run.json").exists() or not (run / "best.pt").exists():
        raise InputError(f"{run}: no run with a finished epoch, so no teacher (allowed: a run folder)")
    teacher = build_student(read_about(run)["recipe"]["student"])
    load_best(teacher, run)
    fold_normalisation(teacher.eval())
    teacher.to(memory_format=torch.channels_last).requires_grad_(False)  # type: ignore[call-overload]
    return teacher


def fold_normalisation(module: nn.Module) -> None:
    """Put batch normalisation into the convolution before it, wherever the two are neighbours in a sequence."""
    for child in module.children():
        if isinstance(child, nn.Sequential) and len(child) > 1 and isinstance(child[1], nn.BatchNorm2d):
            convolution = child[0]
            assert isinstance(convolution, nn.Conv2d)
            child[0], child[1] = fuse_conv_bn_eval(convolution, child[1]), nn.Identity()
        else:
            fold_normalisation(child)


def both_looks(teacher: Student, images: torch.Tensor) -> torch.Tensor:
    """The teacher's map of normalised `images` `[B, 3, H, W]`: the mean of its look and its flipped look, float32."""
    logits = teacher.outputs(torch.cat((images, images.flip(3))))[0].float()
    looks = torch.sigmoid(F.interpolate(logits, size=images.shape[2:], mode="bilinear", align_corners=False))
    return (looks[: len(images)] + looks[len(images) :].flip(3)) / 2


def kept_maps(
    teacher: Student, key: str, frames: np.ndarray, cache: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:  # fmt: skip
    """The teacher's maps of the whole `frames` uint8 `[N, S, S, 4]`, 8-bit `[N, S, S, 1]`, kept in `cache` under `key`.

    Views of a picture are cut from its map too, so that no epoch asks the teacher again. Blocks are kept as they are
    made: on a CPU all take an hour, of which a killed run loses a minute or two. Of two runs that want the same maps
    one makes them, and the other waits.
    """
    path, shape = cache / f"{key}.maps", (len(frames), *frames.shape[1:3], 1)
    with file_held(path, f"a teacher's maps of {len(frames)} pictures", FOR_EVER):
        if not path.exists():
            _make(path, shape, teacher, frames, progress)
    return mapped(path, shape, "r+")


def _make(
    path: Path, shape: tuple[int, ...], teacher: Student, frames: np.ndarray, progress: Callable[[int, int], None]
) -> None:
    """Fill `path`, block by block; the blocks go when it is whole."""
    count = len(frames)
    blocks = {first: path.with_name(f"{path.stem}-{first}.maps") for first in range(0, count, BLOCK)}
    for first, block in blocks.items():
        if not block.exists():
            some = frames[first : first + BLOCK]
            with whole_file(block) as part:
                maps = mapped_anew(part, (len(some), *shape[1:]))
                for done in _looked_at(teacher, some, maps):
                    progress(first + done, count)
                maps.flush()
    with whole_file(path) as part:
        maps = mapped_anew(part, shape)
        for first, block in blocks.items():
            maps[first : first + BLOCK] = mapped(block, (min(BLOCK, count - first), *shape[1:]), "r")
        maps.flush()
    for block in blocks.values():
        block.unlink(missing_ok=True)


@torch.inference_mode()
def _looked_at(teacher: Student, frames: np.ndarray, maps: np.ndarray) -> Iterator[int]:
    """Fill `maps` uint8 `[N, S, S, 1]` with the teacher's of `frames` uint8 `[N, S, S, 4]`; yields how many it has."""
    device, side = next(teacher.parameters()).device, frames.shape[1]
    mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (MEAN, STD))
    for first in range(0, len(frames), BATCH):
        stored = torch.from_numpy(frames[first : first + BATCH, :, :, :3]).to(device)
        pictures = stored.permute(0, 3, 1, 2).float() / 255
        seen = F.interpolate(pictures, size=(SEEN_AT, SEEN_AT), mode="bilinear", antialias=True)
        with autocast(device):
            looks = both_looks(teacher, (seen - mean) / std)
        looks = F.interpolate(looks, size=(side, side), mode="bilinear", align_corners=False)
        maps[first : first + BATCH] = (looks * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        yield min(first + BATCH, len(frames))


def pictures_without_masks(
    folders: Sequence[Path], kept_out: Sequence[Pair], progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[list[Pair], int]:
    """The pictures in `folders`, each its own mask, without those that look like one `kept_out`; and their number.

    Raises `InputError` for a folder that is none or holds no picture.
    """
    found: list[Pair] = []
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder of pictures")
        here = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in PICTURE_SUFFIXES]
        if not here:
            raise InputError(f"{folder} holds no pictures (allowed: {', '.join(PICTURE_SUFFIXES)})")
        found += [Pair(path.stem, path, path) for path in here]
    rejected = {pair.image for pair in duplicates(found, kept_out, progress)} if kept_out else set[Path]()
    return [pair for pair in found if pair.image not in rejected], len(rejected)
