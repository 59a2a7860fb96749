"""What a policy's data can show, before anything is measured: a policy is refused for a check that it cannot decide."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd

from harness.errors import InputError
from harness.gate.groups import find_group
from harness.gate.looks import at_look
from harness.gate.policy import Policy, Profile, policy_of
from harness.gate.rules import Kind, Rule
from harness.gate.verdict import Verdict
from harness.stats import MOST_NEEDED, items_needed, smallest_effect, spread_within

SECTION = "power"


@dataclass(frozen=True)
class Foreseen:
    """What a check's items can show: `smallest` is the effect that they show with the policy's `power`.

    `asked` is how far from the threshold the candidate lies that the policy wants decided. Both are in the check's own
    unit, or of its logarithm.
    """

    rule: Rule
    items: int
    spread: float
    smallest: float
    asked: float
    needed: int | None

    @property
    def decidable(self) -> bool:
        """Whether the policy's candidate would be told apart from the threshold."""
        return self.smallest <= self.asked

    def __str__(self) -> str:
        return (
            f"{self.rule.name}: {self.items} {self.rule.items} show {self.smallest:.3g} (asked for: {self.asked:.3g})"
        )


def foresee(policy: Policy, rules: Iterable[Rule], spreads: Mapping[str, float] | None = None) -> list[Foreseen]:
    """For every check whose items' spread the policy knows: what its items can show.

    Args:
        policy: Its section `power` holds `level`, and by patterns of keys: `spread` (standard deviation of one item),
            `truth` (the candidate that must be decided), `items` where a check is over fewer than its set, and `log`,
            the keys that are ratios.
        rules: The checks.
        spreads: How far single items were found to lie apart, by key, which go before the policy's own.
    """
    given: Mapping[str, Any] = policy.content.get(SECTION, {})
    found = []
    for rule in rules:
        spread, truth = (_match(given.get(name, {}), rule.key) for name in ("spread", "truth"))
        spread = (spreads or {}).get(rule.key, spread)
        if rule.kind is Kind.FACT or spread is None or truth is None:
            continue
        items = int(_match(given.get("items", {}), rule.key) or rule.whole or 0)
        asked = abs(_apart(truth, rule, given))
        level, how = float(given["level"]), at_look(policy, None).statistics  # at the last look all of the data is in
        smallest, needed = smallest_effect(spread, items, level, how), items_needed(asked, spread, level, how)
        found.append(Foreseen(rule, items, spread, smallest, asked, needed))
    return found


def rules_in(policy: Policy, profile: Profile) -> list[Rule]:
    """Every rule of every group, in the order of the policy."""
    return [rule for name in policy.groups for rule in find_group(name).rules(policy, profile)]


def refuse_undecidable(policy: Policy, profile: Profile, rules: Sequence[Rule]) -> None:
    """`InputError` naming the first check that a promotable profile's data cannot decide."""
    if not profile.promotable:
        return
    for each in foresee(policy, rules):
        if not each.decidable:
            many = f"more than {MOST_NEEDED}" if each.needed is None else f"about {each.needed}"
            raise InputError(
                f"policy: {each.rule.key} cannot be decided at {policy.content[SECTION]['level']:.0%} power: {each}; "
                f"needs {many} {each.rule.items} (allowed: more of them, a wider allowance, or no such check)"
            )


def spreads_of(verdict: Verdict) -> dict[str, float]:
    """How far single items lay apart in a verdict's data: their standard deviation by key, of ratios in logarithms."""
    policy = at_look(policy_of(dict(verdict.policy["content"])), verdict.look.number if verdict.look else None)
    given: Mapping[str, Any] = policy.content.get(SECTION, {})
    found = {}
    for item in verdict.measurements:
        if item.low is None or item.high is None or not item.count or item.high <= item.low:
            continue
        if _in_logs(item.key, given):
            found[item.key] = spread_within(math.log(item.low), math.log(item.high), item.count, policy.one_sided)
        else:
            found[item.key] = spread_within(item.low, item.high, item.count, policy.statistics)
    return found


def analysis(verdict: Verdict, policy: Policy | None = None) -> pd.DataFrame:
    """What the rules' data can show, were items as far apart as in a verdict's.

    Args:
        verdict: Whose items.
        policy: The rules [default: the verdict's own]; of the same profile.

    Returns:
        A row per check that has a spread and a candidate to be told apart: `check`, `items`, `spread`, `smallest
        effect`, `effect to be decided` and `needs` by the policy; `was` and `needs, were it so` by what was measured.
    """
    policy = policy or policy_of(dict(verdict.policy["content"]))
    profile, measured = policy.profile(verdict.profile), {item.key: item for item in verdict.measurements}
    given: Mapping[str, Any] = policy.content.get(SECTION, {})
    rows = []
    for each in foresee(policy, rules_in(policy, profile), spreads_of(verdict)):
        item = measured.get(each.rule.key)
        apart = None if item is None else _apart(item.value, each.rule, given)
        level, how = float(given["level"]), at_look(policy, None).statistics
        again = "" if not apart or apart < 0 else _many(items_needed(apart, each.spread, level, how))
        rows.append(
            {"check": each.rule.name, "items": each.items, "spread": each.spread, "smallest effect": each.smallest}
            | {"effect to be decided": each.asked, "needs": _many(each.needed)}
            | {"was": math.nan if item is None else item.value, "needs, were it so": again or "fails"}
        )
    return pd.DataFrame(rows)


def _apart(value: float, rule: Rule, given: Mapping[str, Any]) -> float:
    """How far a value lies on the passing side of a threshold; ratios in logarithms."""
    gain = math.log(value / rule.threshold) if _in_logs(rule.key, given) else value - rule.threshold
    return -gain if rule.kind is Kind.AT_MOST else gain


def _in_logs(key: str, given: Mapping[str, Any]) -> bool:
    """Whether what a key names is a ratio, by the policy's section `power`."""
    return any(fnmatchcase(key, pattern) for pattern in given.get("log", ()))


def _many(items: int | None) -> str:
    return f"over {MOST_NEEDED:,}" if items is None else str(items)


def _match(given: Mapping[str, float], key: str) -> float | None:
    """The value of the longest pattern that the key fits: a policy's order is not kept everywhere."""
    fitting = [pattern for pattern in given if fnmatchcase(key, pattern)]
    return float(given[max(fitting, key=len)]) if fitting else None
