"""Small clips with masks, steered encodes, and maps that ask for nothing or move."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from corpora.loader import ClipPair
from harness.models.sources import CentrePrior, Mapper
from harness.models.working_size import NATIVE, WorkingSize
from harness.roi.encoders import Settings
from harness.roi.laws import MAP
from harness.roi.offsets import Strength
from harness.studies.roi.encode import Steered, Steering, roi_encode

FAST = {"libx264": "veryfast", "libx265": "ultrafast", "libkvazaar": "ultrafast"}


@dataclasses.dataclass(frozen=True)
class FlatMap:
    """A map that asks for nothing."""

    name: str = "flat"
    digest: str = "flat"
    sees: bool = False

    def open(self, threads: int) -> Mapper:
        return lambda name, rgb, working: np.full(rgb.shape[:2], 0.5, np.float32)


@dataclasses.dataclass(frozen=True)
class Wandering:
    """A bright spot that moves on with every frame, so that smoothing matters."""

    name: str = "wandering"
    digest: str = "wandering"
    sees: bool = False

    def open(self, threads: int) -> Mapper:
        def spot(name: str, rgb: np.ndarray, working: WorkingSize) -> np.ndarray:
            saliency = np.zeros(rgb.shape[:2], np.float32)
            saliency[32:64, 16 * int(name) : 16 * int(name) + 32] = 1
            return saliency

        return spot


def run(clip: Path, out: Path, encoder: str = "libx264", source: Any = None, **more: Any) -> Steered:
    settings = more.pop("settings", Settings(preset=FAST.get(encoder)))
    steering = Steering(NATIVE, more.pop("knob", Strength(4)), 1.0, more.pop("law", MAP))
    source = source or CentrePrior()
    return roi_encode(clip, source, out, encoder=encoder, settings=settings, steering=steering, **more)


def draw_clip(root: Path, name: str, seed: int, empty: bool = False) -> ClipPair:
    """A textured square that drifts over another texture for two frames, as DAVIS lies on disk, with its exact masks;
    `empty` leaves them black."""
    rng = np.random.default_rng(seed)
    folder = root / "DAVIS-2016"
    pair = ClipPair(name, folder / "JPEGImages/480p" / name, folder / "Annotations/480p" / name)
    pair.frames.mkdir(parents=True)
    pair.masks.mkdir(parents=True)
    texture = rng.integers(0, 255, (24, 40, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    grain = rng.integers(0, 60, texture.shape).astype(np.uint8)
    for index in range(2):
        picture, mask = texture // 2 + grain, np.zeros(texture.shape[:2], np.uint8)
        mask[64:128, 96 + 4 * index : 160 + 4 * index] = 255
        picture[mask > 0] = 255 - picture[mask > 0]
        Image.fromarray(picture).save(pair.frames / f"{index:05d}.png")
        Image.fromarray(mask * (not empty)).save(pair.masks / f"{index:05d}.png")
    return pair
