"""One rule for uncertainty: bootstrap for many items, Student's t for few, nothing for one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as reference

from harness.errors import InputError
from harness.stats import (
    NAN,
    POWER,
    Statistics,
    bounds,
    estimate,
    items_needed,
    mean_of,
    means_of,
    paired,
    power_of,
    resampling,
    smallest_effect,
    spread_of,
    spread_within,
)

FEW, MANY = np.random.default_rng(0).normal(0.3, 1, 7), np.random.default_rng(1).normal(0.3, 1, 400)


def test_few_items_get_students_t_as_scipy_has_it() -> None:
    found = mean_of(FEW, null=0.1)
    low, high = reference.t.interval(0.95, 6, loc=FEW.mean(), scale=reference.sem(FEW))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.p_value == pytest.approx(reference.ttest_1samp(FEW, 0.1).pvalue)


def test_many_items_get_the_percentile_bootstrap() -> None:
    found = mean_of(MANY, null=0.0)
    wanted = reference.bootstrap(
        (MANY,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(5)
    )
    assert (found.low, found.high) == pytest.approx(tuple(wanted.confidence_interval), abs=0.01)


def test_a_statistic_that_is_no_mean_follows_the_same_rule() -> None:
    for values in (FEW, MANY):
        by_weights = estimate(lambda weights, v=values: weights @ v / weights.sum(axis=1), len(values), null=0.0)
        assert by_weights.low == pytest.approx(mean_of(values).low, abs=1e-6)
    assert mean_of(FEW).high - mean_of(FEW).low > 2 * np.ptp(FEW) / 7


@pytest.mark.parametrize("values", [[], [0.963]])
def test_fewer_than_two_items_have_no_interval_and_no_p(values: list[float]) -> None:
    found = mean_of(values, null=0.0)
    assert np.isnan([found.low, found.high, found.p_value]).all() and found.count == len(values)
    assert np.isnan(bounds(1.0, np.array([1.0, 1.0, 1.0]), 1).low)


def test_undefined_items_are_left_out_of_value_bounds_and_count() -> None:
    holed = np.concatenate([MANY, [NAN, NAN]])
    assert mean_of(holed, null=0.0) == mean_of(MANY, null=0.0)
    both = means_of(np.stack([holed, np.nan_to_num(holed)], axis=1), null=0.0)
    assert both[0] == mean_of(MANY, null=0.0) and both[1].count == 402


def test_a_pair_counts_where_both_have_a_value() -> None:
    first, second = np.array([NAN, 1.0, 2.0, 0.5]), np.array([1.0, NAN, 2.5, 1.0])
    found = paired(first, second)
    assert (found.difference.value, found.difference.count, found.win_rate) == (0.5, 2, 1.0)
    assert paired(first, second, higher_is_better=False).win_rate == 0.0
    with pytest.raises(InputError, match="must be equal"):
        paired(first, second[1:])


def test_the_same_count_and_seed_give_the_same_resamples() -> None:
    how = Statistics(resamples=50, seed=3)
    one, other = (np.concatenate(list(resampling(40, how))) for _ in range(2))
    assert np.array_equal(one, other) and (one.sum(axis=1) == 40).all()
    assert np.concatenate(list(resampling(4, how))).tolist() == (1 - np.eye(4)).tolist()


@pytest.mark.parametrize("count", [7, 60])
def test_intervals_of_a_spread_cover_it(count: int) -> None:
    rng, covered = np.random.default_rng(2), 0
    for _ in range(200):
        found = spread_of(rng.normal(0, 1, count), Statistics(resamples=500))
        covered += found.low <= 1 <= found.high
    assert covered / 200 > 0.82  # a standard deviation's interval is known to cover less than it says


def test_equal_items_have_a_point_and_a_constant_no_spread() -> None:
    equal = mean_of(np.full(50, 0.7), null=0.0)
    assert equal.low == equal.value == equal.high
    found = spread_of(np.full(7, 0.5))
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_power_agrees_with_textbooks_and_with_a_simulation() -> None:
    """One-sample t-test, two-sided at .05: G*Power has these numbers."""
    assert [items_needed(effect, 1.0) for effect in (0.2, 0.5, 0.8)] == [199, 34, 15]
    rng = np.random.default_rng(0)
    draws = rng.normal(0.9, 1.0, (4000, 9))
    found = [mean_of(draw, null=0.0) for draw in draws]
    assert np.mean([one.low > 0 for one in found]) == pytest.approx(power_of(0.9, 1.0, 9), abs=0.02)


def test_the_smallest_effect_is_the_one_that_needs_so_many_items() -> None:
    for spread, count in ((1.0, 7), (0.3, 56), (12.0, 1000), (0.01, 5)):
        effect = smallest_effect(spread, count)
        assert power_of(effect, spread, count) == pytest.approx(POWER, abs=1e-6)
        assert items_needed(effect * 1.0001, spread) == count
    assert smallest_effect(1.0, 1) == float("inf") and smallest_effect(0.0, 5) == 0
    assert items_needed(1e-9, 1.0) is None


def test_the_spread_is_read_back_from_bounds() -> None:
    for count in (9, 400):
        values = np.random.default_rng(1).normal(0, 2, count)
        found = mean_of(values)
        assert spread_within(found.low, found.high, count) == pytest.approx(values.std(ddof=1), rel=0.05)
