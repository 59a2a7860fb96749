"""How two clips lie to each other: by how many frames one is late, and whether one is turned."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import numpy as np

from harness.media.frames import Frame

LOOKED_AT = 24  # pairs beyond the largest shift
_BLOCK = 8


def find_offset(reference: Iterable[Frame], distorted: Iterable[Frame], most: int) -> int:
    """The shift of at most `most` frames, in `pair`'s sense, at which luma has the highest PSNR; 0 where all are alike.

    The first `most` + 24 frames of either side are read, as means of blocks of 8x8.
    """
    errors = shift_errors(blocks(reference, most + LOOKED_AT), blocks(distorted, most + LOOKED_AT), most)
    return min(errors, key=lambda shift: (round(errors[shift], 3), abs(shift)))


def blocks(frames: Iterable[Frame], count: int) -> np.ndarray:
    """Block means of the luma of the first frames in 8-bit steps, float32 `[N, H/8, W/8]`."""
    return np.stack([_means(frame) for frame in islice(frames, count)])


def shift_errors(reference: np.ndarray, distorted: np.ndarray, most: int) -> dict[int, float]:
    """Mean squared error at each shift of at most `most` frames that leaves a pair."""
    found = {}
    for shift in range(-most, most + 1):
        one, two = reference[max(0, -shift) :], distorted[max(0, shift) :]
        common = min(len(one), len(two))
        if common:
            found[shift] = float(np.mean((one[:common] - two[:common]) ** 2))
    return found


def turn_errors(reference: np.ndarray, distorted: np.ndarray) -> dict[str, float]:
    """Mean squared error with the distorted side as it is, and turned as it may have been by mistake."""
    common = min(len(reference), len(distorted))
    one, two = reference[:common], distorted[:common]
    turned = {"": two, "upside down": two[:, ::-1], "mirrored": two[:, :, ::-1], "turned by 180": two[:, ::-1, ::-1]}
    return {name: float(np.mean((one - frames) ** 2)) for name, frames in turned.items()}


def _means(frame: Frame) -> np.ndarray:
    rows, columns = (max(1, side // _BLOCK) for side in frame.y.shape)
    height, width = (side // count * count for side, count in zip(frame.y.shape, (rows, columns), strict=True))
    cut = frame.y[:height, :width].astype(np.float32) / 2 ** (frame.bit_depth - 8)
    return np.asarray(cut.reshape(rows, height // rows, columns, width // columns).mean(axis=(1, 3)))
