"""What steering may cost, and the search for the strength at which it costs just that; encodes nothing itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.errors import InputError
from harness.roi.offsets import Strength

COSTS = ("vmaf", "xpsnr_y", "psnr_y")  # whole-frame qualities that a budget can be in
FIRST, WEAKEST, STRONGEST = 4.0, 0.5, 12.0  # strengths in QP: the first tried, the grid, the end of the search
CLOSE = 0.5  # per cent of bits: an encode this near to a budget ends the search for it


@dataclass(frozen=True)
class Budget:
    """Per cent more bits that an encode may need for the same whole-frame quality (BD-rate).

    Raises `InputError` for a quality or a number that means nothing.

    >>> Budget.parse("vmaf=1%")
    Budget(metric='vmaf', percent=1.0)
    """

    metric: str = "vmaf"
    percent: float = 1.0

    def __post_init__(self) -> None:
        if self.metric not in COSTS or not 0 <= self.percent <= 50:
            raise InputError(f"budget {self} (allowed: {', '.join(COSTS)}, each with 0 to 50: vmaf=1)")

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read `METRIC=PERCENT`; `InputError` says what is allowed."""
        metric, _, number = text.partition("=")
        try:
            return cls(metric, float(number.removesuffix("%")))
        except ValueError as error:
            raise InputError(f"budget {text!r} (allowed: METRIC=PERCENT, such as vmaf=1)") from error

    def __str__(self) -> str:
        return f"{self.metric}={self.percent:g}"


@dataclass(frozen=True)
class Point:
    """One strength on one clip: what it costs in each quality, infinite where undefined, and what it gains.

    Costs and gain are per cent of bits: more at equal whole-frame quality, and fewer at equal quality in the region.
    """

    strength: float
    costs: Mapping[str, float]
    gain: float


@dataclass(frozen=True)
class AtBudget:
    """A clip where an arm pays a budget: between two encodes whose costs enclose it, or `bound` says why not.

    Attributes:
        strength: In QP, by the straight line between the two in cost.
        gain: Per cent of bits saved at equal quality in the region, likewise.
        paid: What it costs in every quality there, likewise.
        below: The weaker one's strength; 0 is the plain encode.
        above: The stronger one's; None where the strongest that is tried still costs less than the budget.
        bound: Empty, or what keeps the budget from being paid exactly.
    """

    strength: float
    gain: float
    paid: Mapping[str, float]
    below: float
    above: float | None
    bound: str = ""


def enclose(points: Sequence[Point], budget: Budget) -> tuple[Point, Point | None]:
    """The first strength that costs more than the budget, None if no one does, and the one before it.

    That a still stronger one may cost less again is not used: it would be luck.
    """
    below = Point(0.0, dict.fromkeys(COSTS, 0.0), 0.0)
    for point in sorted(points, key=lambda point: point.strength):
        if point.costs[budget.metric] > budget.percent:
            return below, point
        below = point
    return below, None


def next_strength(points: Sequence[Point], budget: Budget) -> float | None:
    """The strength to encode at next so that the budget is enclosed closely; None when it is."""
    if not points:
        return FIRST
    below, above = enclose(points, budget)
    if above is None:
        return None if below.strength >= STRONGEST else min(STRONGEST, _snapped(below.strength * 1.5))
    width = above.strength - below.strength
    costs = below.costs[budget.metric], above.costs[budget.metric]
    near = min(budget.percent - costs[0], costs[1] - budget.percent) <= CLOSE
    if width <= WEAKEST or (near and below.strength > 0):  # at strength 0 all costs are 0, which says nothing
        return None
    share = (budget.percent - costs[0]) / (costs[1] - costs[0]) if math.isfinite(costs[1]) else 0.5
    asked = _snapped(below.strength + width * min(max(share, 0.25), 0.75))
    return min(max(asked, below.strength + WEAKEST), above.strength - WEAKEST)


def search(encode: Callable[[float], Point], budgets: Sequence[Budget]) -> list[Point]:
    """The points that enclose every budget, by as few encodes as it takes."""
    points: list[Point] = []
    for budget in sorted(budgets, key=lambda budget: -budget.percent):
        while (strength := next_strength(points, budget)) is not None:
            points.append(encode(strength))
    return points


def at_budget(points: Sequence[Point], budget: Budget) -> AtBudget:
    """Where the budget is paid, by what was encoded around it."""
    below, above = enclose(points, budget)
    if above is None or not math.isfinite(above.costs[budget.metric]):
        bound = "costs less even at the strongest" if above is None else "the next stronger one's cost is undefined"
        stronger = None if above is None else above.strength
        return AtBudget(below.strength, below.gain, below.costs, below.strength, stronger, bound)
    costs = below.costs[budget.metric], above.costs[budget.metric]
    share = (budget.percent - costs[0]) / (costs[1] - costs[0])

    def between(one: float, other: float) -> float:
        return one + share * (other - one) if math.isfinite(one) and math.isfinite(other) else math.nan

    paid = {name: between(below.costs[name], above.costs[name]) for name in below.costs}
    strength, gain = between(below.strength, above.strength), between(below.gain, above.gain)
    return AtBudget(strength, gain, paid, below.strength, above.strength)


def _snapped(strength: float) -> float:
    return Strength(max(WEAKEST, round(strength / WEAKEST) * WEAKEST)).qp
