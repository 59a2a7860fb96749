"""BD-rate: how many per cent more bits one encode needs for the same quality, averaged over the shared range."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from harness.errors import InconclusiveError, InputError

MIN_POINTS = 4
MIN_OVERLAP = 0.5  # of the narrower curve's quality range


def bd_rate(
    anchor_rates: Sequence[float],
    anchor_quality: Sequence[float],
    test_rates: Sequence[float],
    test_quality: Sequence[float],
) -> float:
    """Per cent of bits that the test needs beyond the anchor (negative: it saves), by PCHIP over log rate.

    Raises `InputError` for fewer than 4 points or unequal lengths, `InconclusiveError` where quality does not rise
    with rate or the two curves share less than half of the narrower quality range.
    """
    curves = []
    for name, rates, quality in (("anchor", anchor_rates, anchor_quality), ("test", test_rates, test_quality)):
        if len(rates) != len(quality) or len(rates) < MIN_POINTS:
            raise InputError(f"{name}: {len(rates)} rates, {len(quality)} qualities (allowed: {MIN_POINTS} or more)")
        order = np.argsort(rates)
        curve = np.asarray(rates, np.float64)[order], np.asarray(quality, np.float64)[order]
        if curve[0][0] <= 0 or not np.isfinite(curve).all():
            raise InputError(f"{name}: rates and qualities must be finite, rates above 0")
        if not (np.diff(curve[0]) > 0).all() or not (np.diff(curve[1]) > 0).all():
            raise InconclusiveError(f"{name}: quality does not rise with rate, so BD-rate is undefined")
        curves.append(curve)
    (_, first), (_, second) = curves
    shared = min(first[-1], second[-1]) - max(first[0], second[0])
    whole = min(first[-1] - first[0], second[-1] - second[0])
    if shared < MIN_OVERLAP * whole:
        raise InconclusiveError(
            f"the curves share {max(0.0, shared / whole):.0%} of their quality range (needs {MIN_OVERLAP:.0%})"
        )
    import bjontegaard  # and with it matplotlib: most that import this module need neither

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own overlap warning; the check above is ours
        return float(
            bjontegaard.bd_rate(*curves[0], *curves[1], method="pchip", require_matching_points=False, min_overlap=0)
        )


def bd_quality(
    anchor_rates: Sequence[float],
    anchor_quality: Sequence[float],
    test_rates: Sequence[float],
    test_quality: Sequence[float],
) -> float:
    """Points of quality that the test has above the anchor at equal rate, by PCHIP over log rate, averaged.

    Raises:
        InconclusiveError: Where the two share no rates.
    """
    curves = [np.asarray(values, np.float64) for values in (anchor_rates, anchor_quality, test_rates, test_quality)]
    import bjontegaard

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own overlap warning; the check below is ours
        found = float(bjontegaard.bd_psnr(*curves, method="pchip", require_matching_points=False, min_overlap=0))
    if not np.isfinite(found):
        raise InconclusiveError("quality at equal bitrate is undefined: the rates of the two do not overlap")
    return found
