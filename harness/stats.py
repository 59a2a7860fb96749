"""Uncertainty: bootstrap intervals, paired differences, correlations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from harness.errors import InputError

RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A value with its confidence bounds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference:
    """`second - first` on the same items: mean with bounds, and the share of items that the second wins."""

    difference: Interval
    win_rate: float
    p_value: float


def resampled_means(values: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Means of bootstrap resamples: `[N]` or `[N, K]` to `[R]` or `[R, K]`, drawn as multinomial weights."""
    count = len(values)
    if count == 0:
        raise InputError("nothing to resample: 0 values")
    rng = np.random.Generator(np.random.Philox(seed))
    means = []
    for start in range(0, resamples, 500):  # bounded memory whatever the set's size
        weights = rng.multinomial(count, np.full(count, 1 / count), min(500, resamples - start))
        means.append(weights @ values / count)
    return np.concatenate(means)


def bootstrap_mean(values: np.ndarray, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL) -> Interval:
    """Mean of `values` with percentile bootstrap bounds over items.

    >>> bootstrap_mean(np.array([1.0, 1.0, 1.0]))
    Interval(value=1.0, low=1.0, high=1.0)
    """
    values = np.asarray(values, np.float64)
    low, high = np.quantile(resampled_means(values, resamples, seed), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values.mean()), float(low), float(high))


def paired_difference(
    first: np.ndarray, second: np.ndarray, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> PairedDifference:
    """Bootstrap of `second - first` over the items both measured; two-sided bootstrap p-value against 0."""
    if len(first) != len(second):
        raise InputError(f"paired difference of {len(first)} and {len(second)} items (must be equal)")
    delta = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    means = resampled_means(delta, resamples, seed)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    tail = min(np.mean(means <= 0), np.mean(means >= 0))
    p_value = min(1.0, 2 * max(float(tail), 1 / resamples))
    wins = float(np.mean(delta > 0) + np.mean(delta == 0) / 2)
    return PairedDifference(Interval(float(delta.mean()), float(low), float(high)), wins, p_value)


def pearson(first: np.ndarray, second: np.ndarray) -> float | None:
    """PLCC, or None where one side does not vary."""
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(stats.pearsonr(first, second).statistic)


def spearman(first: np.ndarray, second: np.ndarray) -> float | None:
    """SROCC, or None where one side does not vary."""
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(stats.spearmanr(first, second).statistic)
