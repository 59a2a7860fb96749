"""Uncertainty, once for tables and verdicts: intervals, p-values, paired differences, correlations.

One rule for all: from `Statistics.small` items on the percentile bootstrap over items; below, where that is too narrow
(it covers about 85 % at 7 items and level .95), Student's t on the delete-one jackknife, which for a mean is Student's
t itself; below two items no interval and no p-value.
Sources: Efron and Tibshirani, An Introduction to the Bootstrap, 1993; Tukey, Ann. Math. Statist. 29, 1958.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import InputError

NAN = float("nan")
FEWEST = 2  # items: what fewer say of others is no interval
POWER, MOST_NEEDED = 0.8, 100_000  # what a power analysis asks for, and the most items that it names
_AS_NORMAL = 300  # items: from here on the noncentral t is a normal distribution to the third digit
_CLOSE = 1 - 1e-15  # to a correlation of 1, whose z is infinite
_BLOCK, _ROWS = 2_000_000, 1000  # weights and resamples held at once, whatever the set's size


@dataclass(frozen=True)
class Statistics:
    """How intervals are made: their level, bootstrap resamples and seed; below `small` items Student's t."""

    level: float = 0.95
    resamples: int = 10_000
    small: int = 30
    seed: int = 0


USUAL = Statistics()


@dataclass(frozen=True)
class Estimate:
    """A number over `count` items with two-sided bounds and the p-value of its difference from `null`.

    Bounds and p-value are NaN where there are too few items, the p-value also where no `null` was given.
    """

    value: float
    low: float = NAN
    high: float = NAN
    p_value: float = NAN
    count: int = 0
    null: float = NAN


@dataclass(frozen=True)
class Paired:
    """`second - first` over the items where both have a value, and the share of them that the second wins."""

    difference: Estimate
    win_rate: float


def resampling(count: int, how: Statistics = USUAL) -> Iterator[np.ndarray]:
    """How often each of `count` items is in each resample: float32 blocks `[r, count]`, none below `FEWEST` items.

    From `how.small` items on these are `how.resamples` bootstrap resamples, the same for the same count and seed, so
    that differences between models are paired; below, one that leaves out each item in turn.
    """
    if count < FEWEST:
        return
    if count < how.small:
        yield (1 - np.eye(count)).astype(np.float32)
        return
    rng = np.random.Generator(np.random.Philox(how.seed))
    at_once = min(_ROWS, max(1, _BLOCK // count))
    for start in range(0, how.resamples, at_once):
        number = min(at_once, how.resamples - start)
        drawn = rng.integers(0, count, (number, count), dtype=np.int64)
        drawn += np.arange(number)[:, None] * count
        weights = np.bincount(drawn.ravel(), minlength=number * count)
        yield weights.reshape(number, count).astype(np.float32)


def bounds(
    value: float, resampled: np.ndarray, count: int, how: Statistics = USUAL, null: float | None = None
) -> Estimate:
    """`value` over `count` items with its uncertainty, from what it was on each of `resampling(count, how)`.

    Args:
        value: The number over all items.
        resampled: The same number on every resample, `[R]`; resamples where it is NaN are left out.
        count: Items that the number is over; decides between bootstrap and jackknife.
        how: Level, resamples, and what counts as few.
        null: What the p-value tests against, two-sided; None for no p-value.

    >>> bounds(0.5, np.empty(0), 1).low
    nan
    """
    known = resampled[~np.isnan(resampled)]
    asked = NAN if null is None else float(null)
    if np.isnan(value) or count < FEWEST or len(known) < FEWEST:
        return Estimate(float(value), count=count, null=asked)
    summarise = _percentiles if count >= how.small else _jackknife
    low, high, p_value = summarise(float(value), known, how, asked)
    return Estimate(float(value), low, high, p_value, count, asked)


def estimate(
    statistic: Callable[[np.ndarray], np.ndarray], count: int, how: Statistics = USUAL, null: float | None = None
) -> Estimate:
    """Any function of how often each item counts, weights `[r, count]` to values `[r]`, with its uncertainty.

    Args:
        statistic: The number as a function of weights; NaN where undefined.
        count: Items.
        how: Level, resamples, and what counts as few.
        null: What the p-value tests against.

    Raises:
        InputError: For no items.
    """
    if count < 1:
        raise InputError("nothing to estimate: 0 items")
    (value,) = statistic(np.ones((1, count), np.float32))
    drawn = [statistic(weights) for weights in resampling(count, how)]
    return bounds(float(value), np.concatenate(drawn) if drawn else np.empty(0), count, how, null)


def mean_of(values: Sequence[float] | np.ndarray, how: Statistics = USUAL, null: float | None = None) -> Estimate:
    """Mean of `values` `[N]` with its uncertainty; NaN values are left out and not counted.

    >>> found = mean_of([1.0, 2.0, 3.0])
    >>> round(found.low, 3), found.value, round(found.high, 3), found.count
    (-0.484, 2.0, 4.484, 3)
    """
    (found,) = means_of(np.asarray(values, np.float64)[:, None], how, null)
    return found


def means_of(values: np.ndarray, how: Statistics = USUAL, null: float | None = None) -> list[Estimate]:
    """`mean_of` each column of `[N, K]`; columns that are defined for the same items share their resamples."""
    values = np.asarray(values, np.float64)
    alike: dict[bytes, list[int]] = {}
    for place, known in enumerate(~np.isnan(values).T):
        alike.setdefault(known.tobytes(), []).append(place)
    found: dict[int, Estimate] = {}
    for known, places in alike.items():
        rows = values[np.frombuffer(known, bool)][:, places]
        found |= dict(zip(places, _whole_means(rows, how, null), strict=True))
    return [found[place] for place in range(values.shape[1])]


def _whole_means(values: np.ndarray, how: Statistics, null: float | None) -> list[Estimate]:
    count, width = values.shape
    if not count:
        return [Estimate(NAN, null=NAN if null is None else null)] * width
    drawn = [weights @ values / weights.sum(axis=1, keepdims=True) for weights in resampling(count, how)]
    resampled = np.concatenate(drawn) if drawn else np.empty((0, width))
    centres = values.mean(axis=0)
    resampled[:, np.ptp(values, axis=0) == 0] = centres[np.ptp(values, axis=0) == 0]  # rounding is no spread
    return [bounds(centre, column, count, how, null) for centre, column in zip(centres, resampled.T, strict=True)]


def spread_of(values: Sequence[float] | np.ndarray, how: Statistics = USUAL) -> Estimate:
    """The standard deviation over items (n - 1) of `values` `[N]` with its uncertainty; none below three items."""
    values = np.asarray(values, np.float64)
    if len(values) <= FEWEST:  # leaving one out must leave a spread
        return Estimate(float(values.std(ddof=1)) if len(values) == FEWEST else 0.0, count=len(values))

    def spread(weights: np.ndarray) -> np.ndarray:
        number = weights.sum(axis=1)
        centre = weights @ values / number
        found: np.ndarray = np.sqrt(np.maximum(0, weights @ values**2 - number * centre**2) / (number - 1))
        return found

    return estimate(spread, len(values), how)


def paired(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    how: Statistics = USUAL,
    null: float = 0.0,
    higher_is_better: bool = True,
) -> Paired:
    """`second - first` over the items where both have a value; `difference.count` is how many those are.

    Args:
        first: One value an item, `[N]`, NaN where undefined.
        second: The other side's, in the same order.
        how: Level, resamples, and what counts as few.
        null: What the p-value tests the difference against.
        higher_is_better: Which sign wins.

    Raises:
        InputError: For sides of different lengths.

    >>> found = paired([0.0, np.nan, 0.5, 1.0], [1.0, 1.0, 0.5, 0.5])
    >>> found.difference.count, round(found.difference.value, 3), found.win_rate
    (3, 0.167, 0.5)
    """
    if len(first) != len(second):
        raise InputError(f"paired difference of {len(first)} and {len(second)} items (must be equal)")
    delta = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    return Paired(mean_of(delta, how, null), win_rate(delta if higher_is_better else -delta))


def win_rate(delta: np.ndarray) -> float:
    """Share of items with a positive difference, ties counting half; NaN ones are left out, and it is NaN of none.

    >>> win_rate(np.array([0.5, -0.1, 0.0, 0.2]))
    0.625
    """
    known = delta[~np.isnan(delta)]
    return float(np.mean(known > 0) + np.mean(known == 0) / 2) if len(known) else NAN


def power_of(effect: float, spread: float, count: int, how: Statistics = USUAL) -> float:
    """How likely an interval of `how.level` over `count` items lies wholly on the effect's side of 0.

    Args:
        effect: The true mean.
        spread: The standard deviation of the items about it.
        count: Items.
        how: The level.

    Source: the noncentral t distribution; Cohen, Statistical Power Analysis, 1988.

    >>> round(power_of(0.5, 1.0, 34), 2)
    0.81
    """
    from scipy import stats

    if count < FEWEST or spread <= 0:
        return float(count >= FEWEST and effect != 0)
    shift, bound = abs(effect) / spread * count**0.5, float(stats.t.ppf((1 + how.level) / 2, count - 1))
    if count > _AS_NORMAL:
        return float(stats.norm.sf(bound - shift))
    return float(stats.nct.sf(bound, count - 1, shift))


def spread_within(low: float, high: float, count: int, how: Statistics = USUAL) -> float:
    """The standard deviation of items that gives their mean these bounds.

    >>> found = mean_of([1.0, 2.0, 3.0])
    >>> round(spread_within(found.low, found.high, 3), 6)
    1.0
    """
    from scipy import stats

    reach = stats.t.ppf((1 + how.level) / 2, count - 1) if count < how.small else stats.norm.ppf((1 + how.level) / 2)
    return float((high - low) / 2 / reach * count**0.5)


def smallest_effect(spread: float, count: int, power: float = POWER, how: Statistics = USUAL) -> float:
    """The effect that `count` items of this spread show with this power; infinite below two items.

    >>> round(smallest_effect(1.0, 34), 2)
    0.5
    """
    from scipy import optimize

    if count < FEWEST:
        return float("inf")
    if spread <= 0:
        return 0.0
    far = 20 * spread * (1 + 30 / count)
    return float(optimize.brentq(lambda effect: power_of(effect, spread, count, how) - power, 0, far))


def items_needed(effect: float, spread: float, power: float = POWER, how: Statistics = USUAL) -> int | None:
    """How many items of this spread show an effect with this power; None beyond a hundred thousand.

    >>> items_needed(0.5, 1.0), items_needed(1.0, 1.0), items_needed(0.0, 1.0)
    (34, 10, None)
    """
    low, high = FEWEST, MOST_NEEDED
    if power_of(effect, spread, high, how) < power:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(effect, spread, middle, how) >= power else (middle + 1, high)
    return low


def pearson(first: np.ndarray, second: np.ndarray) -> float | None:
    """PLCC, or None where one side does not vary."""
    from scipy import stats  # a second of start-up that most commands do not need

    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(stats.pearsonr(first, second).statistic)


def spearman(first: np.ndarray, second: np.ndarray) -> float | None:
    """SROCC, or None where one side does not vary."""
    from scipy import stats

    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(stats.spearmanr(first, second).statistic)


def pearson_by_group(
    first: np.ndarray, second: np.ndarray, groups: np.ndarray, how: Statistics = USUAL
) -> Estimate | None:
    """PLCC over all pairs, with uncertainty over whole groups (frames of one clip are no independent items).

    None where one side does not vary. Resamples in which one side does not vary are left out.

    >>> pearson_by_group(np.array([0.0, 1, 2, 3]), np.array([0.0, 2, 4, 6]), np.array(["a", "a", "b", "c"])).low
    1.0
    """
    value = pearson(first, second)
    if value is None:
        return None
    x = np.asarray(first, np.float64) - np.mean(first)
    y = np.asarray(second, np.float64) - np.mean(second)
    moments = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)
    _, place = np.unique(groups, return_inverse=True)
    sums = np.zeros((place.max() + 1, 6))
    np.add.at(sums, place, moments)

    def correlation(weights: np.ndarray) -> np.ndarray:
        count, sx, sy, sxx, syy, sxy = (weights @ sums).T
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = (sxx - sx * sx / count) * (syy - sy * sy / count)
            found = np.clip(np.round((sxy - sx * sy / count) / np.sqrt(spread), 12), -_CLOSE, _CLOSE)
        varies = spread > 1e-18 * max(float(sums[:, 3].sum() * sums[:, 4].sum()), 1e-300)
        return np.where(varies, np.arctanh(found), NAN)  # Fisher's z: few groups' bounds would reach beyond 1

    found = estimate(correlation, len(sums), how)
    low, high = np.round(np.tanh((found.low, found.high)), 12)
    return Estimate(value, float(low), float(high), count=found.count)


def _percentiles(value: float, resampled: np.ndarray, how: Statistics, null: float) -> tuple[float, float, float]:
    low, high = np.quantile(resampled, [(1 - how.level) / 2, (1 + how.level) / 2])
    if np.isnan(null):
        return float(low), float(high), NAN
    tail = min(float(np.mean(resampled <= null)), float(np.mean(resampled >= null)))
    return float(low), float(high), min(1.0, 2 * max(tail, 1 / len(resampled)))


def _jackknife(value: float, left_out: np.ndarray, how: Statistics, null: float) -> tuple[float, float, float]:
    from scipy import stats

    freedom = len(left_out) - 1
    error = float(np.sqrt(freedom / len(left_out) * np.sum((left_out - left_out.mean()) ** 2)))
    if error == 0:
        return value, value, NAN if np.isnan(null) else float(value == null)
    reach = float(stats.t.ppf((1 + how.level) / 2, freedom)) * error
    p_value = NAN if np.isnan(null) else float(2 * stats.t.sf(abs(value - null) / error, freedom))
    return value - reach, value + reach, p_value
