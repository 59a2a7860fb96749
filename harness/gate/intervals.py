"""Estimates under the keys of the gate's rules."""

from __future__ import annotations

import math

import numpy as np

from harness import stats
from harness.gate.verdict import Measurement
from harness.stats import Estimate, Statistics


def measured(key: str, found: Estimate, note: str = "") -> Measurement:
    """An estimate as a measurement: what it has no bounds or p-value for is None."""
    low, high, p_value, null = (
        None if math.isnan(number) else number for number in (found.low, found.high, found.p_value, found.null)
    )
    return Measurement(key, found.value, low, high, p_value, null, found.count, note)


def mean_of(key: str, values: np.ndarray, how: Statistics, null: float | None = None, note: str = "") -> Measurement:
    """The mean over items with bounds, and a two-sided p-value against `null` when one is given."""
    return measured(key, stats.mean_of(values, how, null), note)


def spread_of(key: str, values: np.ndarray, how: Statistics, note: str = "") -> Measurement:
    """The standard deviation over items (n - 1) with bounds."""
    return measured(key, stats.spread_of(values, how), note)


def exactly(key: str, value: float, note: str = "", count: int | None = None) -> Measurement:
    """A number that repeats itself: its interval is itself."""
    return Measurement(key, float(value), float(value), float(value), count=count, note=note)


def fact(key: str, held: bool, note: str, count: int | None = None) -> Measurement:
    """A yes or a no, with what was found, and over how many items."""
    return Measurement(key, float(held), count=count, note=note)
