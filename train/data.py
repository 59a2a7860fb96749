"""Training pairs, decoded once into flat memory-mapped arrays, and the seeded crops cut from them."""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from corpora.loader import Pair, content_digest
from harness.errors import HarnessError, InputError
from harness.files import read_json, whole_file
from harness.jobs.executors import SerialExecutor
from harness.jobs.pools import process_pool
from harness.media.pictures import FOREGROUND, read_mask, read_rgb

FEW, FEWEST_HELD = 256, 64  # pictures
CACHE_VERSION = 3  # of how a file is decoded and what is kept: 3 counts the foreground


def validation_split(count: int, fraction: float = 0.05, seed: int = 42) -> tuple[list[int], list[int]]:
    """Indices (train, validation) into the pairs sorted by image name, upstream's fold to the digit.

    >>> train, held = validation_split(10_553)
    >>> len(train), len(held), held[:3]
    (10025, 528, [418, 5865, 8371])
    """
    order = list(range(count))
    random.Random(seed).shuffle(order)
    held_out = max(FEWEST_HELD, round(fraction * count))
    if held_out >= count:
        raise InputError(
            f"{count} pairs leave nothing to train on after {held_out} are held out (allowed: more than {held_out})"
        )
    return order[held_out:], order[:held_out]


def decoders(count: int) -> Executor:
    """What decodes `count` pictures: a process a core, or this one where they are done before processes have begun."""
    return process_pool(os.cpu_count()) if count >= FEW else SerialExecutor()


@dataclass(frozen=True)
class DecodedSet:
    """Decoded pairs, back to back: pixel `p` of pair `i` lies at `offsets[i] + p`.

    `pixels` uint8 `[P, 3]` RGB, `truth` uint8 `[P]` 0/1, `offsets`, `heights`, `widths` int64 `[N]`.
    """

    pixels: np.ndarray
    truth: np.ndarray
    offsets: np.ndarray
    heights: np.ndarray
    widths: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets)

    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Image uint8 `[H, W, 3]` and mask uint8 `[H, W]` of one pair, as views."""
        start, height, width = int(self.offsets[index]), int(self.heights[index]), int(self.widths[index])
        stop = start + height * width
        return (
            self.pixels[start:stop].reshape(height, width, 3),
            self.truth[start:stop].reshape(height, width),
        )


def resized_pair(image: Path, mask: Path, short_side: int) -> tuple[np.ndarray, np.ndarray]:
    """Decode one pair and bring its short side to `short_side`: image bilinear, mask nearest; the mask is 0/1."""
    rgb, truth = Image.fromarray(read_rgb(image)), Image.fromarray(read_mask(mask).view(np.uint8))
    if rgb.size != truth.size:
        raise InputError(f"{image.name}: image is {rgb.size}, its mask {truth.size} (must be equal)")
    width, height = rgb.size
    scale = short_side / min(width, height)
    size = (max(short_side, round(width * scale)), max(short_side, round(height * scale)))
    if size != rgb.size:
        rgb = rgb.resize(size, Image.Resampling.BILINEAR)
        truth = truth.resize(size, Image.Resampling.NEAREST)
    return np.asarray(rgb), np.asarray(truth)


def decoded_set(
    pairs: Sequence[Pair],
    short_side: int,
    cache: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> DecodedSet:
    """The decoded pairs at `short_side`, from `cache` or decoded into it (one file each, renamed when whole).

    The cache goes by the files' content: a mask that was repaired in place is decoded again. Raises `InputError` when
    no mask has foreground, or none anything else.
    """
    key = f"{content_digest(pairs)[:16]}-{len(pairs)}-{short_side}-v{CACHE_VERSION}"
    index_file = cache / f"{key}.json"
    if not index_file.exists():
        _decode_into(list(pairs), short_side, cache, key, progress)
    try:
        index = read_json(index_file)
        heights, widths = np.array(index["heights"], np.int64), np.array(index["widths"], np.int64)
        areas = heights * widths
        total, foreground = int(areas.sum()), int(index["foreground"])
    except (InputError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise HarnessError(f"decoded cache {index_file} is damaged, delete it: {error}") from error
    if foreground in (0, total):
        what = "foreground" if not foreground else "background"
        raise InputError(f"none of {len(pairs)} masks has {what}, the first is {pairs[0].mask}: nothing can be learnt")
    pixels, truth = mapped(cache / f"{key}.rgb", (total, 3), "r"), mapped(cache / f"{key}.mask", (total,), "r")
    return DecodedSet(pixels, truth, np.cumsum(areas) - areas, heights, widths)


def mapped_anew(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """An empty file mapped as uint8 of `shape`; `OSError` when the disk has no room: to write there would kill us."""
    with path.open("r+b") as stream:
        os.posix_fallocate(stream.fileno(), 0, math.prod(shape))
    return np.memmap(path, np.uint8, "r+", shape=shape)


def mapped(path: Path, shape: tuple[int, ...], mode: Literal["r", "r+"]) -> np.ndarray:
    """A file of the cache as uint8 of `shape`; `HarnessError` when it is missing or of another size."""
    try:
        if (size := path.stat().st_size) != math.prod(shape):
            raise ValueError(f"{size} bytes and not {math.prod(shape)}")
        return np.memmap(path, np.uint8, mode, shape=shape)
    except (OSError, ValueError) as error:
        raise HarnessError(f"decoded cache {path} is damaged, delete it: {error}") from error


def _decode_into(
    pairs: list[Pair], short_side: int, cache: Path, key: str, progress: Callable[[int, int], None]
) -> None:
    heights, widths, foreground = [], [], 0
    images, masks = [pair.image for pair in pairs], [pair.mask for pair in pairs]
    with (
        whole_file(cache / f"{key}.json") as index_part,
        whole_file(cache / f"{key}.rgb") as rgb_part,
        whole_file(cache / f"{key}.mask") as mask_part,
    ):
        with (
            rgb_part.open("wb") as rgb_file,
            mask_part.open("wb") as mask_file,
            decoders(len(pairs)) as pool,
        ):
            decoded = pool.map(resized_pair, images, masks, [short_side] * len(pairs), chunksize=32)
            for done, (rgb, mask) in enumerate(decoded, 1):
                rgb_file.write(rgb.tobytes())
                mask_file.write(mask.tobytes())
                heights.append(mask.shape[0])
                widths.append(mask.shape[1])
                foreground += int(np.count_nonzero(mask))
                progress(done, len(pairs))
        index_part.write_text(json.dumps({"heights": heights, "widths": widths, "foreground": foreground}))


@dataclass(frozen=True)
class CropPlan:
    """Which pair, which box of it, and whether mirrored, for every sample of an epoch: int64 `[N]` arrays."""

    pair: np.ndarray
    top: np.ndarray
    left: np.ndarray
    flip: np.ndarray
    height: np.ndarray
    width: np.ndarray

    def scaled(self, size: int) -> bool:
        """Whether any box must be resized to become `size` x `size`."""
        return bool((self.height != size).any() or (self.width != size).any())


def plan_epoch(data: DecodedSet, chosen: Sequence[int], crop: int, seed: int, epoch: int) -> CropPlan:
    """The shuffled random crops of one epoch, a pure function of `(seed, epoch)`: a resumed run repeats it."""
    rng = seeded(seed, epoch)
    pair = rng.permutation(np.asarray(chosen, np.int64))
    top = (rng.random(len(pair)) * (data.heights[pair] - crop + 1)).astype(np.int64)
    left = (rng.random(len(pair)) * (data.widths[pair] - crop + 1)).astype(np.int64)
    flip = rng.integers(0, 2, len(pair))
    return CropPlan(pair, top, left, flip, np.full_like(pair, crop), np.full_like(pair, crop))


def plan_views(
    data: DecodedSet, chosen: Sequence[int], smallest: float, seed: int, epoch: int, widest: float = 1.0
) -> CropPlan:
    """Shuffled views of one epoch: each side keeps a share of the frame, uniform in [`smallest`, 1].

    Half of the views are then widened up to `widest` times, log-uniform; what lies outside the frame is mirrored.
    """
    rng = seeded(seed, epoch)
    pair = rng.permutation(np.asarray(chosen, np.int64))
    reach = math.log(widest)
    zoom = np.exp(seeded(seed, epoch, 2).uniform(-reach, reach, len(pair)).clip(min=0))
    height = (data.heights[pair] * rng.uniform(smallest, 1, len(pair)) * zoom).astype(np.int64)
    width = (data.widths[pair] * rng.uniform(smallest, 1, len(pair)) * zoom).astype(np.int64)
    top = (rng.random(len(pair)) * (data.heights[pair] - height + 1)).astype(np.int64)
    left = (rng.random(len(pair)) * (data.widths[pair] - width + 1)).astype(np.int64)
    return CropPlan(pair, top, left, rng.integers(0, 2, len(pair)), height, width)


def seeded(*entropy: int) -> np.random.Generator:
    """Random numbers that depend on `entropy` (seed, epoch, what for) alone."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def boxed(picture: np.ndarray, top: int, bottom: int, left: int, right: int) -> np.ndarray:
    """The box of `picture` `[H, W, ...]`, mirrored where it reaches over the picture's edges."""
    height, width = picture.shape[:2]
    inside = picture[max(top, 0) : bottom, max(left, 0) : right]
    over = ((max(-top, 0), max(bottom - height, 0)), (max(-left, 0), max(right - width, 0)))
    return np.pad(inside, over + ((0, 0),) * (picture.ndim - 2), "symmetric") if any(map(any, over)) else inside


def cut(data: DecodedSet, plan: CropPlan, samples: slice, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The planned boxes of `samples`: images uint8 `[B, size, size, 3]`, masks uint8 `[B, size, size]`.

    A box of another size is resized (bilinear, antialiased; the mask too, then binary).
    """
    indices = range(*samples.indices(len(plan.pair)))
    images = np.empty((len(indices), size, size, 3), np.uint8)
    masks = np.empty((len(indices), size, size), np.uint8)
    for row, index in enumerate(indices):
        image, mask = data.pair(int(plan.pair[index]))
        top, left = int(plan.top[index]), int(plan.left[index])
        bottom, right = top + int(plan.height[index]), left + int(plan.width[index])
        image, mask = boxed(image, top, bottom, left, right), boxed(mask, top, bottom, left, right)
        if mask.shape != (size, size):
            image = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))
            grey = Image.fromarray(mask * np.uint8(255)).resize((size, size), Image.Resampling.BILINEAR)
            mask = np.asarray(grey) > FOREGROUND
        step = -1 if plan.flip[index] else 1
        images[row] = image[:, ::step]
        masks[row] = mask[:, ::step]
    return images, masks


def centre_crops(data: DecodedSet, chosen: Sequence[int], crop: int) -> tuple[np.ndarray, np.ndarray]:
    """The centre crops of the chosen pairs, in their order, shaped as `cut` shapes them."""
    pair = np.asarray(chosen, np.int64)
    side, unmirrored = np.full_like(pair, crop), np.zeros_like(pair)
    top, left = (data.heights[pair] - crop) // 2, (data.widths[pair] - crop) // 2
    return cut(data, CropPlan(pair, top, left, unmirrored, side, side), slice(0, len(pair)), crop)


def whole_views(data: DecodedSet, chosen: Sequence[int], size: int, times: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The chosen pairs as a whole, in their order, each scaled to `size` x `size`.

    With `times` the view is so many times as wide and high, the picture in its middle and mirrored around it.
    """
    pair = np.asarray(chosen, np.int64)
    heights, widths = data.heights[pair], data.widths[pair]
    top, left = -(heights * (times - 1) // 2), -(widths * (times - 1) // 2)
    plan = CropPlan(pair, top, left, np.zeros_like(pair), heights * times, widths * times)
    return cut(data, plan, slice(0, len(pair)), size)
