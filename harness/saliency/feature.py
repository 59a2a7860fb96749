"""The `mobilesal` feature: frames in, one `saliency_mean` per frame and model out, as upstream's extractor has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness.media.frames import Frame, pix_fmt_name
from harness.media.prefetch import prefetch
from harness.models.session import SaliencyModel
from harness.saliency.colour import contract_planes

_BUFFERS = 2  # the frame that models see, and the next one in the making


@dataclass(frozen=True)
class FrameMeans:
    """What the extractor says of one frame: per model its mean in [0, 1] and its map, float32 `[H, W]`."""

    frame: Frame = field(repr=False, compare=False)
    means: tuple[float, ...]
    maps: tuple[np.ndarray, ...] = field(repr=False, compare=False)


def extract(
    frames: Iterable[Frame], models: Sequence[SaliencyModel], allow_highbit: bool = False
) -> Iterator[FrameMeans]:
    """Run every model over every frame, in order; decoding and conversion overlap with inference.

    Raises `InputError` for 4:0:0, for more than 8 bits unless `allow_highbit` (then samples are rounded to 8), and for
    a map that breaks the contract. Source: `mobilesal.c` of the libvmaf fork.
    """
    for frame, planes in prefetch(_converted(frames, allow_highbit)):
        maps = tuple(model.map_of_planes(planes, frame.height, frame.width) for model in models)
        means = tuple(float(values.mean(dtype=np.float64)) for values in maps)
        yield FrameMeans(frame, means, maps)


def _converted(frames: Iterable[Frame], allow_highbit: bool) -> Iterator[tuple[Frame, np.ndarray]]:
    """Each frame and its planes, which hold until the next frame but one is asked for: fresh ones cost page faults."""
    kept: list[np.ndarray | None] = [None] * _BUFFERS
    for number, frame in enumerate(frames):
        place = number % _BUFFERS
        planes = contract_planes(eight_bits(frame) if allow_highbit else frame, kept[place])
        kept[place] = planes
        yield frame, planes


def eight_bits(frame: Frame) -> Frame:
    """The frame with its samples rounded to 8 bits; 8-bit frames as they are."""
    if frame.bit_depth == 8:
        return frame
    shift = frame.bit_depth - 8

    def rounded(plane: np.ndarray) -> np.ndarray:
        return np.minimum((plane.astype(np.uint32) + (1 << (shift - 1))) >> shift, 255).astype(np.uint8)

    u, v = (None if plane is None else rounded(plane) for plane in (frame.u, frame.v))
    return replace(frame, y=rounded(frame.y), u=u, v=v, bit_depth=8, pix_fmt=pix_fmt_name(8, frame.chroma))
