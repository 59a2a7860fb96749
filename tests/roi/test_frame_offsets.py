"""Which frames get a map of their own, and what goes for those that do not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.media.frames import Frame
from harness.media.open import open_clip
from harness.models.working_size import NATIVE, WorkingSize
from harness.roi.encoders import find_encoder
from harness.roi.frame_offsets import Steerable, offsets_of_frames
from harness.roi.laws import Law
from harness.roi.offsets import Strength
from tests.helpers.clips import write_clip


class WithCut:
    """A clip whose last frames, from number `cut` on, are negatives."""

    def __init__(self, clip: Steerable, cut: int) -> None:
        self.clip, self.info, self.cut = clip, clip.info, cut

    def __iter__(self) -> Iterator[Frame]:
        for frame in self.clip:
            soft = frame.y // 6 + 90
            yield replace(frame, y=255 - soft // 2 if frame.index >= self.cut else soft)


@pytest.mark.parametrize(("law", "made"), [("map", [*range(8)]), ("map/3", [0, 3, 5]), ("centre:0.5/8", [0, 5])])
def test_a_map_holds_for_as_long_as_the_law_says_and_not_beyond_a_cut(
    law: str, made: list[int], tmp_path: Path
) -> None:
    asked: list[int] = []

    def mapper(name: str, rgb: np.ndarray, working: WorkingSize) -> np.ndarray:
        asked.append(int(name))
        saliency = np.zeros(rgb.shape[:2], np.float32)
        saliency[:, : 8 * (1 + int(name))] = 1
        return saliency

    clip = WithCut(open_clip(write_clip(tmp_path / "clip.y4m", frames=8)), cut=5)
    found = list(offsets_of_frames(clip, mapper, NATIVE, Strength(8), find_encoder("libx264"), law=Law.parse(law)))
    assert asked == made and [frame.index for frame, _ in found] == [*range(8)]
    for (_, before), (frame, here) in itertools.pairwise(found):
        assert (here is before) == (frame.index not in made)
