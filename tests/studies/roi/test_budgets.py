"""The search for the strength that costs a budget, on curves whose answer is known."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InputError
from harness.studies.roi.budgets import COSTS, STRONGEST, WEAKEST, Budget, Point, at_budget, enclose, search

BUDGETS = [Budget("vmaf", percent) for percent in (0.0, 1.0, 3.0)]


def points_of(cost: Callable[[float], float], budgets: list[Budget] = BUDGETS) -> list[Point]:
    """What the search encodes where steering costs `cost(strength)` and gains ten points a QP."""
    return search(lambda qp: Point(qp, dict.fromkeys(COSTS, cost(qp)), 10 * qp), budgets)


@given(st.floats(0.05, 2), st.floats(0, 3))
def test_every_budget_is_paid_just_so_between_two_encodes_around_it(bend: float, dip: float) -> None:
    """A curve that first dips below 0, as real ones do: cost = bend * s * (s - dip)."""
    points = points_of(lambda qp: bend * qp * (qp - dip))
    assert len({point.strength for point in points}) == len(points) <= 14
    for budget in BUDGETS:
        found = at_budget(points, budget)
        below, above = enclose(points, budget)
        assert found.below == below.strength and found.above == (above and above.strength)
        if found.bound:
            assert found.strength == STRONGEST and below.costs["vmaf"] < budget.percent
            continue
        assert found.paid["vmaf"] == pytest.approx(budget.percent)
        assert found.below <= found.strength <= (found.above or 0)
        truth = dip / 2 + math.sqrt(dip**2 / 4 + budget.percent / bend)
        near = abs(found.strength - truth) < WEAKEST
        assert near or min(abs(budget.percent - point.costs["vmaf"]) for point in (below, above) if point) <= 0.5


def test_what_costs_at_once_gains_nothing_for_nothing() -> None:
    found = at_budget(points_of(lambda qp: qp), BUDGETS[0])
    assert (found.strength, found.gain, found.below, found.above) == (0, 0, 0, WEAKEST)


def test_what_costs_nothing_stops_at_the_strongest_and_says_so() -> None:
    found = at_budget(points_of(lambda qp: -qp), BUDGETS[2])
    assert found.strength == STRONGEST and found.bound == "costs less even at the strongest"


def test_an_undefined_cost_is_too_much_and_nothing_is_drawn_towards_it() -> None:
    found = at_budget(points_of(lambda qp: qp / 4 if qp < 6 else math.inf), BUDGETS[2])
    assert found.strength == 6 - WEAKEST and found.bound == "the next stronger one's cost is undefined"


def test_a_stronger_one_that_costs_less_again_is_not_used() -> None:
    made = [Point(qp, dict.fromkeys(COSTS, cost), 0.0) for qp, cost in ((1.0, 0.5), (2.0, 2.0), (3.0, 0.2))]
    below, above = enclose(made, BUDGETS[1])
    assert (below.strength, above and above.strength) == (1, 2)


@pytest.mark.parametrize("text", ["vmaf", "vmaf=", "vmaf=-1", "vmaf=51", "fps=1", "=1", "vmaf=nan"])
def test_a_bad_budget_says_what_is_allowed(text: str) -> None:
    with pytest.raises(InputError, match="allowed"):
        Budget.parse(text)
