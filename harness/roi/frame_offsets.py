"""From frames and maps to what each frame asks of the encoder, steady over time and kept on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from harness.media.frames import ClipInfo, Frame
from harness.models.sources import Mapper
from harness.models.working_size import NATIVE, WorkingSize
from harness.roi.encoders.base import Encoder
from harness.roi.laws import MAP, Law, busyness
from harness.roi.offsets import Knob, block_areas, grid_means, merged_means, neutral
from harness.roi.regions import regions_of
from harness.saliency.colour import true_rgb
from harness.saliency.smoothing import Cuts, Smoother

HYSTERESIS = 0.05  # of the area: offsets that change over less stay as they were


@dataclass(frozen=True)
class FrameOffsets:
    """What one frame asks of the encoder, block by block, `[rows, columns]`: mean saliency, the weight that the law
    made of it, and the offset in QP."""

    means: np.ndarray
    weights: np.ndarray
    offsets: np.ndarray


class Steerable(Protocol):
    """A clip, or frames of one: each iteration begins at its start."""

    @property
    def info(self) -> ClipInfo: ...

    def __iter__(self) -> Iterator[Frame]: ...


def offsets_of_frames(
    clip: Steerable,
    mapper: Mapper,
    working: WorkingSize,
    knob: Knob,
    encoder: Encoder,
    weight: float = 1.0,
    law: Law = MAP,
) -> Iterator[tuple[Frame, FrameOffsets]]:
    """Frames with their offsets. `weight` is the newest map's in the average over time (1: no smoothing).

    `law` turns the map's block means into what the knob is given, and says how many frames go by one map; `means` stay
    the map's own.

    Maps are made, averaged and met with the blocks at the working size: no step runs over the whole picture.
    """
    height, width = clip.info.height, clip.info.width
    size = working.of(height, width)
    areas = block_areas(height, width, encoder.block)
    smoother, cuts, lawful = Smoother(weight), Cuts(), law.begin()
    peak = (1 << clip.info.bit_depth) - 1
    last: FrameOffsets | None = None
    held = 0  # frames that go by the last map
    for frame in clip:
        cut = cuts.add(frame.y, peak)
        if last is None or cut or held >= law.every:
            saliency = np.asarray(mapper(str(frame.index), true_rgb(frame, size), NATIVE))
            if saliency.dtype == np.uint8:
                saliency = saliency.astype(np.float32) / 255
            means = grid_means(smoother.add(saliency, cut), height, width, encoder.block)
            weights = lawful(means, partial(busyness, frame.y, peak, encoder.block))
            offsets = _fitting(knob.at(frame.index).raw(weights, areas), height, width, encoder)
            if last is not None and areas[offsets != last.offsets].sum() < HYSTERESIS * areas.sum():
                offsets = last.offsets
            last, held = FrameOffsets(means, weights, offsets), 0
        held += 1
        yield frame, last


class OffsetsOnDisk:
    """The offsets of all frames in a file, so that memory stays flat however long the clip is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shape: tuple[int, int] = (0, 0)

    def __enter__(self) -> OffsetsOnDisk:
        self.stream = self.path.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()

    def through(self, steered: Iterator[tuple[Frame, FrameOffsets]]) -> Iterator[tuple[Frame, FrameOffsets]]:
        """The same items; the offsets are kept on their way."""
        for frame, asked in steered:
            self.shape = (asked.means.shape[0], asked.means.shape[1])
            np.stack([asked.means, asked.weights, asked.offsets]).astype(np.float32).tofile(self.stream)
            yield frame, asked

    def read(self) -> Iterator[FrameOffsets]:
        """The offsets of every frame, in order, in float32's precision; frames that keep them share one array."""
        self.stream.flush()
        values = 3 * self.shape[0] * self.shape[1]
        last: np.ndarray | None = None
        with self.path.open("rb") as stream:
            while (block := np.fromfile(stream, np.float32, values)).size:
                means, weights, offsets = block.astype(np.float64).reshape(3, *self.shape)
                last = offsets if last is None or not np.array_equal(offsets, last) else last
                yield FrameOffsets(means, weights, last)


def _fitting(raw: np.ndarray, height: int, width: int, encoder: Encoder) -> np.ndarray:
    """Neutral offsets; in blocks as much larger as it takes where the encoder could not take their rectangles."""
    areas, times = block_areas(height, width, encoder.block), 1
    offsets = neutral(raw, areas, encoder.steps)
    while encoder.regions and len(regions_of(offsets, encoder.block, height, width)) > encoder.regions:
        times *= 2
        larger = merged_means(raw, height, width, encoder.block, times * encoder.block)
        spread = np.kron(larger, np.ones((times, times)))[: raw.shape[0], : raw.shape[1]]
        offsets = neutral(spread, areas, encoder.steps)
    return offsets
