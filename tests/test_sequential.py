"""Looks at growing data: the bounds that others publish, and an error that does not grow with the looks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as reference

from harness.sequential import SPENDING, look_levels, over_looks, spent_by

FIVE = (0.2, 0.4, 0.6, 0.8, 1.0)
# two-sided .05, of R's ldbounds 2.0, the examples of its manual
LDBOUNDS = {
    "obrien-fleming": (4.8769, 3.3569, 2.6803, 2.2898, 2.0310),
    "pocock": (2.4380, 2.4268, 2.4101, 2.3966, 2.3859),
}


@pytest.mark.parametrize("spending", SPENDING)
def test_bounds_are_those_of_ldbounds(spending: str) -> None:
    found = [reference.norm.isf(level / 2) for level in look_levels(FIVE, 0.05, spending)]
    assert found == pytest.approx(LDBOUNDS[spending], abs=2e-4)


@pytest.mark.parametrize("spending", SPENDING)
def test_one_look_is_no_look_and_all_of_the_error_is_spent_at_the_last(spending: str) -> None:
    assert look_levels((1.0,), 0.05, spending) == pytest.approx((0.05,))
    spent = [spent_by(share, 0.05, spending) for share in FIVE]
    assert spent == sorted(spent) and spent[-1] == pytest.approx(0.05)


@pytest.mark.parametrize("p_value", [1e-18, 1e-4, 0.003, 0.04, 0.6])
def test_the_error_over_looks_is_that_whose_level_the_p_value_meets(p_value: float) -> None:
    shares = (0.5, 1.0)
    for look in (1, 2):
        alpha = over_looks(p_value, look, shares, "obrien-fleming")
        assert max(p_value, 1e-15) <= alpha * (1 + 1e-4)
        if alpha < 1:
            assert look_levels(shares, alpha, "obrien-fleming")[look - 1] == pytest.approx(
                max(p_value, 1e-15), rel=1e-3
            )


def passes(data: np.ndarray, shares: tuple[float, ...], levels: list[tuple[float, ...]]) -> np.ndarray:
    """Of runs `[R, items, primaries]`, at which look Holm first takes a gain of every primary for certain; 0: never."""
    stopped = np.zeros(len(data), int)
    for look, share in enumerate(shares):
        seen = data[:, : round(share * data.shape[1])]
        found = reference.ttest_1samp(seen, 0, axis=1)
        ordered = np.sort(found.pvalue, axis=1)
        certain = (ordered <= [level[look] for level in levels]).all(axis=1) & (found.statistic > 0).all(axis=1)
        stopped[(stopped == 0) & certain] = look + 1
    return stopped


def any_gain(data: np.ndarray, shares: tuple[float, ...], levels: list[tuple[float, ...]]) -> np.ndarray:
    """Of runs `[R, items, primaries]`, whether Holm takes a gain of any primary for certain at any look."""
    found = np.zeros(len(data), bool)
    for look, share in enumerate(shares):
        test = reference.ttest_1samp(data[:, : round(share * data.shape[1])], 0, axis=1)
        smallest = np.where(test.statistic > 0, test.pvalue, 1).min(axis=1)
        found |= smallest <= levels[0][look]  # Holm's first step: the smallest against the error shared by all
    return found


@pytest.mark.slow
@pytest.mark.parametrize("spending", SPENDING)
def test_under_the_null_no_look_adds_error_and_a_clear_case_stops_early(spending: str) -> None:
    """Student's t over 20 and 40 items, three primaries: the family's error is .05 two-sided, .025 for a gain."""
    shares, runs, rng = (0.5, 1.0), 6000, np.random.default_rng(1)
    levels = [look_levels(shares, 0.05 / left, spending) for left in (3, 2, 1)]
    null = rng.normal(0, 1, (runs, 40, 3))
    naive = any_gain(null, shares, [(0.05 / 3, 0.05 / 3)])
    error = any_gain(null, shares, levels)
    assert error.mean() <= 0.025 + 2 * (0.025 * 0.975 / runs) ** 0.5 < naive.mean()
    clear = passes(rng.normal(1.5, 1, (200, 40, 3)), shares, levels)
    assert (clear == 1).mean() > 0.9 and (clear > 0).all()
