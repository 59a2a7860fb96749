"""Uncertainty: bootstrap intervals, paired differences, correlations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from harness.errors import InputError

RESAMPLES = 10_000
LEVEL = 0.95
FEWEST = 3  # groups: what fewer say of others is no interval
_BLOCK, _ROWS = 2_000_000, 1000  # weights and resamples held at once, whatever the set's size


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


def resample_weights(count: int, resamples: int = RESAMPLES, seed: int = 0) -> Iterator[np.ndarray]:
    """How often each of `count` items is in each bootstrap resample: float32 blocks `[r, count]`.

    The same count and seed give the same resamples, so that differences between models are paired.
    """
    if count == 0:
        raise InputError("nothing to resample: 0 values")
    rng = np.random.Generator(np.random.Philox(seed))
    at_once = min(_ROWS, max(1, _BLOCK // count))
    for start in range(0, resamples, at_once):
        number = min(at_once, resamples - start)
        drawn = rng.integers(0, count, (number, count), dtype=np.int64)
        drawn += np.arange(number)[:, None] * count
        weights = np.bincount(drawn.ravel(), minlength=number * count)
        yield weights.reshape(number, count).astype(np.float32)


def resampled_means(values: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Means of bootstrap resamples: `[N]` or `[N, K]` to `[R]` or `[R, K]`."""
    count = len(values)
    return np.concatenate([weights @ values / count for weights in resample_weights(count, resamples, seed)])


def bootstrap_mean(values: np.ndarray, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL) -> Interval:
    """Mean of `values` with percentile bootstrap bounds over items.

    >>> bootstrap_mean(np.array([1.0, 1.0, 1.0]))
    Interval(value=1.0, low=1.0, high=1.0)
    """
    values = np.asarray(values, np.float64)
    return interval(float(values.mean()), resampled_means(values, resamples, seed), level)


def interval(value: float, resampled: np.ndarray, level: float = LEVEL) -> Interval:
    """`value` with percentile bounds from what it was on resamples `[R]`; NaN ones are left out."""
    if np.isnan(value) or np.isnan(resampled).all():
        return Interval(value, float("nan"), float("nan"))
    low, high = np.nanquantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def two_sided_p(resampled: np.ndarray) -> float:
    """Bootstrap p-value of a difference against 0, from its values on resamples `[R]`; NaN if one is."""
    if np.isnan(resampled).any():
        return float("nan")
    tail = min(np.mean(resampled <= 0), np.mean(resampled >= 0))
    return min(1.0, 2 * max(float(tail), 1 / len(resampled)))


def paired_difference(
    first: np.ndarray, second: np.ndarray, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> PairedDifference:
    """Bootstrap of `second - first` over the items both measured; two-sided bootstrap p-value against 0."""
    if len(first) != len(second):
        raise InputError(f"paired difference of {len(first)} and {len(second)} items (must be equal)")
    delta = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    means = resampled_means(delta, resamples, seed)
    return PairedDifference(interval(float(delta.mean()), means, level), win_rate(delta), two_sided_p(means))


def win_rate(delta: np.ndarray) -> float:
    """Share of items with a positive difference, ties counting half.

    >>> win_rate(np.array([0.5, -0.1, 0.0, 0.2]))
    0.625
    """
    return float(np.mean(delta > 0) + np.mean(delta == 0) / 2)


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


def pearson_by_group(
    first: np.ndarray,
    second: np.ndarray,
    groups: np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval | None:
    """PLCC over all pairs, with bootstrap bounds over whole groups (frames of one clip are no independent items).

    None where one side does not vary. Resamples in which one side does not vary are left out of the bounds, which are
    NaN with fewer than `FEWEST` groups.

    >>> pearson_by_group(np.array([0.0, 1, 2, 3]), np.array([0.0, 2, 4, 6]), np.array(["a", "a", "b", "c"])).low
    1.0
    """
    value = pearson(first, second)
    if value is None:
        return None
    if len(np.unique(groups)) < FEWEST:
        return Interval(value, float("nan"), float("nan"))
    x = np.asarray(first, np.float64) - np.mean(first)
    y = np.asarray(second, np.float64) - np.mean(second)
    moments = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)
    _, place = np.unique(groups, return_inverse=True)
    sums = np.zeros((place.max() + 1, 6))
    np.add.at(sums, place, moments)
    count, sx, sy, sxx, syy, sxy = resampled_means(sums, resamples, seed).T
    spread = (sxx - sx * sx / count) * (syy - sy * sy / count)
    varies = spread > 1e-18 * max(float(sums[:, 3].sum() * sums[:, 4].sum()), 1e-300)
    drawn = np.clip((sxy - sx * sy / count)[varies] / np.sqrt(spread[varies]), -1, 1)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]) if len(drawn) else (float("nan"),) * 2
    return Interval(value, float(round(low, 12)), float(round(high, 12)))
