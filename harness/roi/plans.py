"""From frames and maps to plans: what each frame asks of the encoder, steady over time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.media.frames import Frame
from harness.media.open import Clip
from harness.models.sources import Mapper
from harness.models.working_size import NATIVE, WorkingSize
from harness.roi.encoders.base import Encoder
from harness.roi.offsets import Knob, block_areas, grid_means, merged_means, neutral
from harness.roi.regions import regions_of
from harness.saliency.colour import true_rgb
from harness.saliency.smoothing import Smoother

HYSTERESIS = 0.05  # of the area: a map that changes less keeps the last one


@dataclass(frozen=True)
class Plan:
    """What one frame asks of the encoder: mean saliency and offset in QP of every block, `[rows, columns]`."""

    means: np.ndarray
    offsets: np.ndarray


def plans_of(
    clip: Clip, mapper: Mapper, working: WorkingSize, knob: Knob, encoder: Encoder, weight: float = 1.0
) -> Iterator[tuple[Frame, Plan]]:
    """Frames with their plans. `weight` is the newest map's in the average over time (1: no smoothing).

    Maps are made, averaged and met with the blocks at the working size: no step runs over the whole picture.
    """
    height, width = clip.info.height, clip.info.width
    size = working.of(height, width)
    areas = block_areas(height, width, encoder.block)
    smoother = Smoother(weight)
    peak = (1 << clip.info.bit_depth) - 1
    last: np.ndarray | None = None
    for frame in clip:
        saliency = np.asarray(mapper(str(frame.index), true_rgb(frame, size), NATIVE))
        if saliency.dtype == np.uint8:
            saliency = saliency.astype(np.float32) / 255
        means = grid_means(smoother.add(saliency, frame.y, peak), height, width, encoder.block)
        offsets = _fitting(knob.raw(means, areas), height, width, encoder)
        if last is not None and areas[offsets != last].sum() < HYSTERESIS * areas.sum():
            offsets = last
        last = offsets
        yield frame, Plan(means, offsets)


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
