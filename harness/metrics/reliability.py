"""Whether a map value of p means foreground with probability p.

Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
"""

from __future__ import annotations

import numpy as np

from harness.metrics.base import LEVELS, Means, Metric, Reading, Sample

METRICS = (Metric("ece@15", higher_is_better=False),)

BINS = 15
_BIN_OF_LEVEL = np.minimum(np.arange(LEVELS) // (LEVELS // BINS), BINS - 1)
_STARTS = np.searchsorted(_BIN_OF_LEVEL, np.arange(BINS))
_CONFIDENCE = np.minimum((np.arange(LEVELS) + 0.5) / (LEVELS - 1), 1.0)


def reading(sample: Sample) -> Reading:
    """Per 15 equal bins `[15]`: share of the image's pixels, of its true pixels, and the summed confidence.

    Map values are read at their 8-bit level, at its middle.

    >>> reading(Sample.of(np.array([[1.0, 1.0]]), np.array([[True, False]])))["reliability_truth"][-1]
    np.float64(0.5)
    """
    foreground, background = sample.histograms
    pixels = foreground + background
    return {
        "reliability_share": np.add.reduceat(pixels, _STARTS) / sample.values.size,
        "reliability_truth": np.add.reduceat(foreground, _STARTS) / sample.values.size,
        "reliability_confidence": np.add.reduceat(pixels * _CONFIDENCE, _STARTS) / sample.values.size,
    }


def headline(means: Means) -> dict[str, np.ndarray]:
    """`ece@15`: expected calibration error over all pixels, every image weighing the same; 0 is calibrated."""
    return {"ece@15": np.abs(means["reliability_confidence"] - means["reliability_truth"]).sum(-1)}
