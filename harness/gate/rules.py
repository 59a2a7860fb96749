"""From a policy to rules, from rules and measurements to checks: pure functions, nothing is measured here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.gate.policy import CostPolicy, FeaturePolicy, Policy, Profile, RoiPolicy
from harness.gate.verdict import Check, Measurement, Outcome

PARITY = "feature.parity"
OBJECT_SIZES = ("small", "medium", "large")
FACTS = {
    "graph": "graph loads in the extractor",
    "registry": "registry and sidecar agree",
    "sizes": "runs at every size",
    "finite": "map is finite",
    "range": "map is within [0, 1]",
}


class Kind(StrEnum):
    """How a measurement is held against a threshold: by the bound of its interval that is worse for the candidate."""

    SUPERIOR = "superior"  # low > threshold
    AT_LEAST = "at_least"  # low >= threshold
    AT_MOST = "at_most"  # high <= threshold
    FACT = "fact"  # value is 1


@dataclass(frozen=True)
class Rule:
    """One declared requirement. `whole` is the number of items that a complete measurement covers."""

    group: str
    name: str
    key: str
    kind: Kind
    threshold: float = 1.0
    primary: bool = False
    whole: int | None = None
    unit: str = ""


def rules_of(policy: Policy, profile: Profile, native: bool) -> tuple[Rule, ...]:
    """Every rule that the policy declares for a profile, in the order that a verdict lists them.

    `native` says that a native `mobilesal` was found: then parity with it counts, whether or not the policy asks for
    one to be there.
    """
    rules = [Rule("contract", name, f"contract.{key}", Kind.FACT, unit="fact") for key, name in FACTS.items()]
    for corpus in profile.accuracy:
        rules += _accuracy(policy, corpus, profile.pairs[corpus])
    clips = len(profile.clip_names)
    rules += _feature(policy.feature, clips, profile.frames, native) + _roi(policy.roi, clips)
    return (*rules, *_cost(policy.cost, profile.rounds))


def _accuracy(policy: Policy, corpus: str, whole: int) -> list[Rule]:
    accuracy = policy.accuracy

    def rule(measure: str, kind: Kind, threshold: float, primary: bool = False, whole: int | None = None) -> Rule:
        key = f"accuracy.{corpus}.{measure}.gain"
        return Rule("accuracy", f"{measure} gain on {corpus}", key, kind, threshold, primary, whole)

    rules = [rule(accuracy.primary, Kind.SUPERIOR, accuracy.primary_margin, True, whole)]
    rules += [rule(name, Kind.AT_LEAST, -allowed, whole=whole) for name, allowed in accuracy.allowances.items()]
    by_size = [accuracy.size_measure.replace("{size}", size) for size in OBJECT_SIZES]
    return rules + [rule(name, Kind.AT_LEAST, -accuracy.size_allowance) for name in by_size]


def _feature(policy: FeaturePolicy, clips: int, frames: int, native: bool) -> list[Rule]:
    def rule(name: str, key: str, kind: Kind, threshold: float, whole: int = clips) -> Rule:
        return Rule("feature", name, key, kind, threshold, whole=whole)

    rules = [
        rule("spread over clips", "feature.spread", Kind.SUPERIOR, policy.spread_above),
        rule("drift under compression", "feature.drift", Kind.AT_MOST, policy.drift_within),
        rule("drift beyond the incumbent's", "feature.drift_excess", Kind.AT_MOST, policy.drift_allowance),
    ]
    if native or policy.parity_required:
        rules.append(rule("native parity", PARITY, Kind.AT_MOST, policy.parity_within, whole=frames))
    return rules


def _roi(policy: RoiPolicy, clips: int) -> list[Rule]:
    def rule(name: str, key: str, kind: Kind, threshold: float, primary: bool = False) -> Rule:
        return Rule("roi", name, key, kind, threshold, primary, whole=clips, unit="points")

    encodes = clips * len(policy.crf)
    return [
        Rule("roi", "map moves the bits", "roi.effect", Kind.FACT, whole=encodes, unit="fact"),
        rule("BD-rate gain", "roi.bdrate_gain", Kind.AT_LEAST, -policy.bdrate_allowance),
        rule("gain over the centre prior", "roi.centre_gain", Kind.SUPERIOR, policy.centre_margin, primary=True),
        rule("whole-frame VMAF gain", "roi.vmaf_gain", Kind.AT_LEAST, -policy.vmaf_allowance),
    ]


def _cost(policy: CostPolicy, rounds: int) -> list[Rule]:
    rules = []
    for height, width in policy.sizes:
        name, key = f"time ratio at {width}x{height}", f"cost.time_ratio.{width}x{height}"
        rules.append(Rule("cost", name, key, Kind.AT_MOST, policy.time_ratio, whole=rounds, unit="ratio"))
    return [*rules, Rule("cost", "memory ratio", "cost.memory_ratio", Kind.AT_MOST, policy.memory_ratio, unit="ratio")]


def judge(
    rules: Sequence[Rule],
    measurements: Iterable[Measurement],
    level: float,
    missing: Mapping[str, str] | None = None,
) -> tuple[Check, ...]:
    """One check per rule, whatever was measured; what was not is INCONCLUSIVE with the reason in `missing`.

    Primary rules form one family: Holm's adjusted p-value must not exceed `1 - level`, and a p-value that is missing
    counts as 1, so that leaving a measurement out never helps another.
    """
    found = {item.key: item for item in measurements}
    family = {rule.key: _p_value(rule, found.get(rule.key)) for rule in rules if rule.primary}
    adjusted = holm(family)
    absent = missing or {}
    return tuple(_check(rule, found.get(rule.key), adjusted.get(rule.key), 1 - level, absent) for rule in rules)


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
    rule: Rule, item: Measurement | None, p_adjusted: float | None, alpha: float, absent: Mapping[str, str]
) -> Check:
    value = low = high = margin = None
    if item is None:
        outcome = Outcome.INCONCLUSIVE
        reason = absent.get(rule.key) or absent.get(rule.group) or "not measured"
    elif not item.finite:
        outcome, reason = Outcome.INCONCLUSIVE, "not a finite number"
    else:
        value, low, high = item.value, item.low, item.high
        outcome, margin, reason = _bounds(rule, item)
        if outcome is Outcome.PASS and rule.whole is not None and item.count != rule.whole:
            outcome, reason = Outcome.INCONCLUSIVE, f"partial: {item.count or 0} of {rule.whole} items"
        elif outcome is Outcome.PASS and p_adjusted is not None and p_adjusted > alpha:
            outcome, reason = Outcome.INCONCLUSIVE, f"Holm-adjusted p {p_adjusted:.3g} exceeds {alpha:.3g}"
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
