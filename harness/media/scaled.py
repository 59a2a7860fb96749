"""A clip brought to another size, by the same filter as FFmpeg's side of a pair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from harness.errors import InputError
from harness.media.frames import Frame
from harness.media.open import Clip

KERNELS = ("bicubic", "lanczos")


@dataclass(frozen=True)
class Scaled(Clip):
    """`stored` at the size of `info`, by one of `KERNELS`."""

    stored: Clip | None = None
    kernel: str = "bicubic"

    def __iter__(self) -> Iterator[Frame]:
        assert self.stored
        return (_scaled(frame, self.info.width, self.info.height, self.kernel) for frame in self.stored)


def scaled(clip: Clip, width: int, height: int, kernel: str) -> Clip:
    """The clip at a size; itself where it has that. Raises `InputError` for an unknown kernel."""
    if kernel not in KERNELS:
        raise InputError(f"scale {kernel!r} (allowed: {', '.join(KERNELS)})")
    if (clip.info.width, clip.info.height) == (width, height):
        return clip
    shape = clip.info.pixel_shape * clip.info.width * height / (clip.info.height * width)
    info = replace(clip.info, width=width, height=height, pixel_shape=shape)
    return Scaled(info, stored=clip, kernel=kernel)


def _scaled(frame: Frame, width: int, height: int, kernel: str) -> Frame:
    picture = frame.picture().reformat(width=width, height=height, interpolation=kernel.upper())
    dtype = frame.y.dtype
    planes = [
        np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)[:, : plane.width] for plane in picture.planes
    ]
    u, v = planes[1:] if len(planes) == 3 else (None, None)
    return replace(frame, y=planes[0], u=u, v=v)
