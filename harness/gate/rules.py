"""From rules and measurements to checks: pure functions, nothing is measured here and no policy is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from harness.gate.verdict import Check, Look, Measurement, Outcome
from harness.stats import FEWEST, MOST_NEEDED, Statistics, items_needed, spread_within


class Kind(StrEnum):
    """How a measurement is held against a threshold: by the bound of its interval that is worse for the candidate."""

    SUPERIOR = "superior"  # low > threshold
    AT_LEAST = "at_least"  # low >= threshold
    AT_MOST = "at_most"  # high <= threshold
    FACT = "fact"  # value is 1


@dataclass(frozen=True)
class Rule:
    """One declared requirement.

    Args:
        group: The group that declares it.
        name: As a verdict lists it.
        key: The measurement that it is held against.
        kind: How.
        threshold: Against what.
        primary: Whether it is of the family that shares one error level.
        whole: How many items a complete measurement covers.
        undefined: The share of those items that may be without a value; None where that is in the nature of the number.
        optional: Whether it falls away where the means to measure it are absent.
        unit: What the numbers are, for whoever prints them.
        items: What a measurement is over, in the plural.
    """

    group: str
    name: str
    key: str
    kind: Kind
    threshold: float = 1.0
    primary: bool = False
    whole: int | None = None
    undefined: float | None = None
    optional: bool = False
    unit: str = ""
    items: str = "items"


def checks_of(
    rules: Sequence[Rule],
    measurements: Iterable[Measurement],
    level: float,
    missing: Mapping[str, str] | None = None,
    look: Look | None = None,
) -> tuple[Check, ...]:
    """One check per rule, whatever was measured; what was not is INCONCLUSIVE with the reason in `missing`.

    `level` is that of intervals. Primary rules form one family: Holm's adjusted p-value must not exceed `1 - level`,
    and a p-value that is missing counts as 1, so that leaving a measurement out never helps another. At a look of a
    sequential policy these are p-values over all looks, held against the error of all looks.
    """
    found = {item.key: item for item in measurements}
    family = {rule.key: _p_value(rule, found.get(rule.key)) for rule in rules if rule.primary}
    adjusted = holm({key: look.overall(p_value) if look else p_value for key, p_value in family.items()})
    alphas, absent = (look.alpha if look else 1 - level, 1 - level), missing or {}
    return tuple(_check(rule, found.get(rule.key), adjusted.get(rule.key), alphas, absent) for rule in rules)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down adjusted p-values (Holm 1979, Scandinavian Journal of Statistics 6:65).

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'c': 0.06, 'b': 0.06}
    """
    adjusted: dict[str, float] = {}
    running = 0.0
    for rank, (key, p_value) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        running = max(running, min(1.0, p_value * (len(p_values) - rank)))
        adjusted[key] = running
    return adjusted


def _p_value(rule: Rule, item: Measurement | None) -> float:
    if item is None or not item.finite or item.p_value is None or item.null != rule.threshold:
        return 1.0
    return item.p_value


def _check(
    rule: Rule,
    item: Measurement | None,
    p_adjusted: float | None,
    alphas: tuple[float, float],
    absent: Mapping[str, str],
) -> Check:
    family_wide, own = alphas
    value = low = high = margin = None
    if item is None:
        outcome = Outcome.INCONCLUSIVE
        reason = absent.get(rule.key) or absent.get(rule.group) or "not measured"
    elif not item.finite:
        outcome, reason = Outcome.INCONCLUSIVE, "not a finite number"
    else:
        value, low, high = item.value, item.low, item.high
        outcome, margin, reason = _bounds(rule, item)
        if outcome is Outcome.INCONCLUSIVE:
            reason += _needed(rule, item, Statistics(level=1 - own))
        if outcome is Outcome.PASS and (why := _gap(rule, item)):
            outcome, reason = Outcome.INCONCLUSIVE, why
        elif outcome is Outcome.PASS and p_adjusted is not None and p_adjusted > family_wide:
            outcome = Outcome.INCONCLUSIVE
            reason = f"Holm-adjusted p {p_adjusted:.3g} exceeds {family_wide:.3g}"
            reason += _needed(rule, item, Statistics(level=1 - own), own * (item.p_value or 1) / p_adjusted)
    return Check(
        group=rule.group,
        name=rule.name,
        key=rule.key,
        rule=str(rule.kind),
        primary=rule.primary,
        unit=rule.unit,
        value=value,
        low=low,
        high=high,
        threshold=rule.threshold,
        margin=margin,
        p_adjusted=p_adjusted if item is not None else None,
        outcome=outcome,
        reason=reason,
    )


def _needed(rule: Rule, item: Measurement, how: Statistics, alpha: float | None = None) -> str:
    """How many items would decide the rule, were the truth what was measured; nothing where no interval tells.

    `how` made the interval; `alpha` is the error that must not be exceeded [default: its own].
    """
    count = item.count or 0
    if item.low is None or item.high is None or count < FEWEST or item.high <= item.low:
        return ""
    asked = how if alpha is None else replace(how, level=1 - alpha)
    needed = items_needed(item.value - rule.threshold, spread_within(item.low, item.high, count, how), how=asked)
    many = f"more than {MOST_NEEDED}" if needed is None else f"about {needed}"
    return f"; needs {many} {rule.items} (has {count})"


def _gap(rule: Rule, item: Measurement) -> str:
    """Why a measurement is of too few items to pass: what is left out could be what speaks against it."""
    measured, defined = item.measured or 0, item.count or 0
    if rule.whole is not None and measured != rule.whole:
        return f"partial: {measured} of {rule.whole} items"
    if rule.undefined is not None and measured - defined > rule.undefined * measured:
        return f"undefined on {measured - defined} of {measured} items (the policy allows {rule.undefined:.3g} of them)"
    return ""


def _bounds(rule: Rule, item: Measurement) -> tuple[Outcome, float | None, str]:
    if rule.kind is Kind.FACT:
        held = item.value == 1
        return (Outcome.PASS if held else Outcome.FAIL), None, item.note or ("holds" if held else "does not hold")
    if item.low is None or item.high is None:
        return Outcome.INCONCLUSIVE, None, "measured without an interval"
    low, high = item.low, item.high
    sign = -1 if rule.kind is Kind.AT_MOST else 1  # held against the threshold from above, whatever the direction
    worse, better = (-high, -low) if sign < 0 else (low, high)
    limit = sign * rule.threshold
    strict = rule.kind is Kind.SUPERIOR
    margin = worse - limit
    if worse > limit or (worse == limit and not strict):
        return Outcome.PASS, margin, item.note or "clears the threshold"
    if better < limit or (better == limit and strict):
        return Outcome.FAIL, margin, item.note or "the whole interval misses the threshold"
    return Outcome.INCONCLUSIVE, margin, item.note or "the interval reaches across the threshold"
