"""Map streams on disk: grey y4m or PNG files to compute with, an overlay video to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

from harness.errors import InputError
from harness.files import whole_file, whole_folder
from harness.media.encode import drawn_video
from harness.media.frames import Frame
from harness.media.y4m import y4m_writer

OVERLAY_SUFFIXES = (".mp4", ".mkv")
_HEAT = np.array([255, 40, 0], np.float32)  # one hot colour: its strength is the map's value


@contextmanager
def map_writer(path: Path, rate: Fraction) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that takes maps `[H, W]` in [0, 1], in frame order, and keeps them as 8-bit grey.

    `path` ending in `.y4m` is one full-range mono file; any other is a folder of `00000.png` …, new or empty. Either is
    whole or absent. Raises `InputError` for a place that cannot be written, `HarnessError` when the disk fails midway.
    """
    if path.suffix.lower() == ".y4m":
        with y4m_writer(path, rate) as add:
            yield lambda values: add(Frame(0, 0.0, grey(values), None, None, "gray", 8, "400", range="pc"))
        return
    if path.suffix:
        raise InputError(f"map {path} (allowed: a .y4m file, or a folder for PNG files)")
    with whole_folder(path) as folder:
        numbers = count()
        yield lambda values: Image.fromarray(grey(values)).save(folder / f"{next(numbers):05}.png")


@contextmanager
def overlay_writer(path: Path, rate: Fraction) -> Iterator[Callable[[np.ndarray, np.ndarray], None]]:
    """Yield a function that takes RGB `[H, W, 3]` and its map `[H, W]`, and encodes the map over the grey picture.

    H.264 in `.mp4` or `.mkv`, whole or absent; odd sides lose their last line.
    """
    if path.suffix.lower() not in OVERLAY_SUFFIXES:
        raise InputError(f"overlay {path} (allowed: {', '.join(OVERLAY_SUFFIXES)})")
    with whole_file(path) as part, drawn_video(part, rate, crf=20) as add:
        yield lambda rgb, values: add(overlay(rgb, values))


def grey(values: np.ndarray) -> np.ndarray:
    """A map in [0, 1] as uint8, rounded."""
    return (np.clip(values, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def overlay(rgb: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The picture in grey, tinted by its map: uint8 `[H, W, 3]`."""
    weight = np.clip(values, 0, 1)[..., None] * np.float32(0.7)
    luma = rgb.mean(axis=2, dtype=np.float32)[..., None]
    return (luma * (1 - weight) + _HEAT * weight + np.float32(0.5)).astype(np.uint8)
