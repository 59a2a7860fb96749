"""Does the map's mean tell noise from nothing? What upstream's own unit test asks of a student."""

from __future__ import annotations

import numpy as np

from harness.models.contract import INPUT, OUTPUT
from harness.models.session import SaliencyModel

WANTED = 0.1  # upstream's test passes above it
SIDE, SEED = 256, 42


def noise_contrast(model: SaliencyModel) -> float:
    """`|mean(grey) - mean(noise)|` of the maps of two 256x256 inputs, in [0, 1].

    Grey is zeros after normalisation, noise standard normal values in their place (`default_rng(42)`).
    """
    shape = (1, 3, SIDE, SIDE)
    noise = np.random.default_rng(SEED).standard_normal(shape).astype(np.float32)
    inputs = (np.zeros(shape, np.float32), noise)
    grey, noisy = (model.session.run([OUTPUT], {INPUT: values})[0].mean(dtype=np.float64) for values in inputs)
    return abs(float(grey) - float(noisy))
