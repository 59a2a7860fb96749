"""What changed between two verdicts: what was asked, what was measured, and what became of each check."""

from __future__ import annotations

import pandas as pd

from harness.gate.text import value_text
from harness.gate.verdict import Verdict

ABSENT = "–"


def about(before: Verdict, after: Verdict) -> list[str]:
    """What the two verdicts were not asked or made alike, one line each; none where only the numbers may differ."""
    told: list[tuple[str, str, str]] = [
        ("decision", str(before.decision), str(after.decision)),
        ("profile", before.profile, after.profile),
        ("look", str(before.look or ABSENT), str(after.look or ABSENT)),
    ]
    for name, one, other in (
        ("incumbent", before.incumbent, after.incumbent),
        ("candidate", before.candidate, after.candidate),
    ):
        told.append((name, f"{one.id} {one.sha256[:12]}", f"{other.id} {other.sha256[:12]}"))
    told += _policy(before, after)
    for what, old, new in (("data", before.inputs, after.inputs), ("version", before.versions, after.versions)):
        for key in dict.fromkeys((*old, *new)):
            told.append((f"{what} {key}", old.get(key, ABSENT)[:24], new.get(key, ABSENT)[:24]))
    measured = ({one.name: one.code[:12] for one in verdict.tables} for verdict in (before, after))
    first, second = measured
    told += [(f"code of {name}", first[name], second[name]) for name in first if name in second]
    told.append(("code that judged", before.code["digest"][:12], after.code["digest"][:12]))
    lines = [f"{name}: {old} → {new}" for name, old, new in told if old != new]
    lines += [f"no longer: {limit}" for limit in before.limits if limit not in after.limits]
    return lines + [f"new: {limit}" for limit in after.limits if limit not in before.limits]


def checks(before: Verdict, after: Verdict, every: bool = False) -> pd.DataFrame:
    """A row per check that changed its outcome, or its numbers in what is shown of them; all checks if `every`.

    Columns `check`, `before`, `after` (value and interval), `outcome`, with an arrow where it changed.
    """
    old, new = ({check.key: check for check in verdict.checks} for verdict in (before, after))
    rows = []
    for key in dict.fromkeys((*old, *new)):
        first, second = old.get(key), new.get(key)
        names = [str(one.outcome) if one else ABSENT for one in (first, second)]
        values = [value_text(first), value_text(second)]
        if every or names[0] != names[1] or values[0] != values[1]:
            outcome = names[0] if names[0] == names[1] else " → ".join(names)
            name = (second or first).name  # type: ignore[union-attr]
            rows.append({"check": name, "before": values[0], "after": values[1], "outcome": outcome})
    return pd.DataFrame(rows, columns=["check", "before", "after", "outcome"])


def _policy(before: Verdict, after: Verdict) -> list[tuple[str, str, str]]:
    old, new = (flat(verdict.policy["content"]) for verdict in (before, after))
    keys = dict.fromkeys((*old, *new))
    return [(f"policy {key}", str(old.get(key, ABSENT)), str(new.get(key, ABSENT))) for key in keys]


def flat(content: object, place: str = "") -> dict[str, object]:
    """The settings of a policy by their dotted names.

    >>> flat({"cost": {"time_ratio": 2.0}, "name": "p"})
    {'cost.time_ratio': 2.0, 'name': 'p'}
    """
    if not isinstance(content, dict):
        return {place: content}
    found: dict[str, object] = {}
    for key, value in content.items():
        found |= flat(value, f"{place}.{key}" if place else str(key))
    return found
