"""Maps averaged over time."""

from __future__ import annotations

import numpy as np

from harness.saliency.smoothing import Smoother


def test_smoothing_averages_and_restarts_at_a_cut() -> None:
    smoother = Smoother(0.5)
    dark, bright = np.zeros((16, 16), np.uint8), np.full((16, 16), 200, np.uint8)
    zero, one = np.zeros((16, 16), np.float32), np.ones((16, 16), np.float32)
    assert smoother.add(zero, dark, 255).mean() == 0
    assert smoother.add(one, dark, 255).mean() == 0.5
    assert smoother.add(one, bright, 255).mean() == 1
