"""Maps averaged over time."""

from __future__ import annotations

import numpy as np

from harness.saliency.smoothing import Cuts, Smoother


def test_smoothing_averages_and_restarts_at_a_cut() -> None:
    smoother, cuts = Smoother(0.5), Cuts()
    dark, bright = np.zeros((16, 16), np.uint8), np.full((16, 16), 200, np.uint8)
    zero, one = np.zeros((16, 16), np.float32), np.ones((16, 16), np.float32)
    found = [
        smoother.add(each, cuts.add(luma, 255)).mean() for each, luma in ((zero, dark), (one, dark), (one, bright))
    ]
    assert found == [0, 0.5, 1]


def test_a_clip_begins_with_a_cut_and_slow_changes_are_none() -> None:
    cuts = Cuts()
    assert [cuts.add(np.full((16, 16), level, np.uint16), 1023) for level in (0, 100, 200, 600)] == [
        True,
        False,
        False,
        True,
    ]
