"""What a policy's data can show, before anything is measured: a policy is refused for a check that it cannot decide."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from harness.errors import InputError
from harness.gate.looks import at_look
from harness.gate.policy import Policy, Profile
from harness.gate.rules import Kind, Rule
from harness.stats import MOST_NEEDED, items_needed, smallest_effect

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


def foresee(policy: Policy, rules: Iterable[Rule]) -> list[Foreseen]:
    """For every check whose items' spread the policy knows: what its items can show.

    Args:
        policy: Its section `power` holds `level`, and by patterns of keys: `spread` (standard deviation of one item),
            `truth` (the candidate that must be decided), `items` where a check is over fewer than its set, and `log`,
            the keys that are ratios.
        rules: The checks.
    """
    given: Mapping[str, Any] = policy.content.get(SECTION, {})
    found = []
    for rule in rules:
        spread, truth = (_match(given.get(name, {}), rule.key) for name in ("spread", "truth"))
        if rule.kind is Kind.FACT or spread is None or truth is None:
            continue
        items = int(_match(given.get("items", {}), rule.key) or rule.whole or 0)
        in_logs = any(fnmatchcase(rule.key, pattern) for pattern in given.get("log", ()))
        asked = abs(math.log(truth / rule.threshold)) if in_logs else abs(truth - rule.threshold)
        level, how = float(given["level"]), at_look(policy, None).statistics  # at the last look all of the data is in
        smallest, needed = smallest_effect(spread, items, level, how), items_needed(asked, spread, level, how)
        found.append(Foreseen(rule, items, spread, smallest, asked, needed))
    return found


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


def _match(given: Mapping[str, float], key: str) -> float | None:
    """The value of the longest pattern that the key fits: a policy's order is not kept everywhere."""
    fitting = [pattern for pattern in given if fnmatchcase(key, pattern)]
    return float(given[max(fitting, key=len)]) if fitting else None
