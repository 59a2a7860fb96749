"""The gate's answer: measurements, checks, the decision over them, and the file that keeps them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import HarnessError, InconclusiveError, InputError
from harness.files import check_schema, read_json, write_text
from harness.pages.page import fragment, rows_of
from harness.sequential import over_looks

SCHEMA = Path(__file__).parent / "verdict.schema.json"
SCHEMA_VERSION = 2
UNHASHED = ("created", "machine", "digest")  # what may differ between two verdicts on the same inputs


class Outcome(StrEnum):
    """What one check found."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


class Decision(StrEnum):
    """What all checks together allow."""

    PROMOTE = "PROMOTE"
    HOLD = "HOLD"
    INCONCLUSIVE = "INCONCLUSIVE"

    @property
    def exit_code(self) -> int:
        """What `harness gate` exits with: 0, 1 or 3."""
        return {"PROMOTE": 0, "HOLD": HarnessError.exit_code, "INCONCLUSIVE": InconclusiveError.exit_code}[self]


@dataclass(frozen=True)
class Measurement:
    """One measured number. `p_value` is two-sided against the value `null`.

    `count` says over how many items the number is, `items` how many were measured, where some may have no value.
    """

    key: str
    value: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    null: float | None = None
    count: int | None = None
    items: int | None = None
    note: str = ""

    @property
    def measured(self) -> int | None:
        """How many items were measured, with a value or without."""
        return self.count if self.items is None else self.items

    @property
    def finite(self) -> bool:
        """Whether every number that is present is a number."""
        numbers = (self.value, self.low, self.high, self.p_value)
        return all(math.isfinite(number) for number in numbers if number is not None)


@dataclass(frozen=True)
class Check:
    """One rule applied. `margin` is how far the deciding bound clears the threshold; negative falls short."""

    group: str
    name: str
    key: str
    rule: str
    primary: bool
    unit: str
    value: float | None
    low: float | None
    high: float | None
    threshold: float
    margin: float | None
    p_adjusted: float | None
    outcome: Outcome
    reason: str


def decide(checks: Iterable[Check]) -> Decision:
    """Any FAIL holds; anything undecided, or nothing checked at all, is inconclusive; else promote."""
    outcomes = {check.outcome for check in checks}
    if Outcome.FAIL in outcomes:
        return Decision.HOLD
    return Decision.PROMOTE if outcomes == {Outcome.PASS} else Decision.INCONCLUSIVE


@dataclass(frozen=True)
class Side:
    """One of the two models compared: its registry id or file stem, and its file."""

    id: str
    sha256: str
    file: str


@dataclass(frozen=True)
class TableRecord:
    """A table that was judged: its kind and name, a digest of all it says, and the code that measured it."""

    kind: str
    name: str
    sha256: str
    code: str
    commit: str


@dataclass(frozen=True)
class Look:
    """At which look of a sequential policy a verdict was given, counted from 1, and what that means.

    Args:
        number: Which one.
        shares: The part of the data that each of the policy's looks is over.
        spending: How the error is spent over them.
        alpha: The error of all looks together, two-sided.
        spent: How much of it was spent by this look.
        level: What a p-value of this look must not exceed, before Holm's method.
        counts: Of each set, how much this look is over.
    """

    number: int
    shares: tuple[float, ...]
    spending: str
    alpha: float
    spent: float
    level: float
    counts: dict[str, str]

    def overall(self, p_value: float) -> float:
        """The error over all looks at which a p-value of this one is significant."""
        return over_looks(p_value, self.number, self.shares, self.spending)

    def __str__(self) -> str:
        given = ", ".join(f"{name} {count}" for name, count in self.counts.items())
        return (
            f"look {self.number} of {len(self.shares)} ({given}): of an error of {self.alpha:.3g}, {self.spent:.3g} "
            f"is spent, by {self.spending}, and p must not exceed {self.level:.3g}"
        )


@dataclass(frozen=True)
class Verdict:
    """Everything that was asked, measured and decided; `limits` says why it may not lead to a promotion.

    `look` is None by a policy that looks once, at all of the data.
    """

    extractor: str
    profile: str
    limits: tuple[str, ...]
    incumbent: Side
    candidate: Side
    policy: dict[str, Any]  # name, sha256, content
    checks: tuple[Check, ...]
    measurements: tuple[Measurement, ...]
    missing: dict[str, str]
    inputs: dict[str, str]
    tables: tuple[TableRecord, ...]
    code: dict[str, str]  # of what judged: digest, commit
    versions: dict[str, str]
    commands: tuple[str, ...]
    created: str = ""
    machine: dict[str, Any] = field(default_factory=dict)
    look: Look | None = None

    @property
    def decision(self) -> Decision:
        """PROMOTE, HOLD or INCONCLUSIVE, from the checks."""
        return decide(self.checks)

    @property
    def unchecked(self) -> dict[str, str]:
        """What was not measured and the policy does without, by key, and why: no check stands for it."""
        judged = {name for check in self.checks for name in (check.key, check.group)}
        return {key: reason for key, reason in self.missing.items() if key not in judged}

    @property
    def promotable(self) -> bool:
        """Whether `harness registry promote` may act on it."""
        return self.decision is Decision.PROMOTE and not self.limits

    def content(self) -> dict[str, Any]:
        """The verdict as JSON values: floats at 10 significant digits, with its own digest."""
        plain = {"schema_version": SCHEMA_VERSION, "verdict": str(self.decision), **asdict(self)}
        if self.look is None:
            del plain["look"]
        rounded: dict[str, Any] = _rounded(plain)
        return {**rounded, "digest": digest_of(rounded)}

    def text(self) -> str:
        """The JSON file's text: the same bytes for the same verdict."""
        return json.dumps(self.content(), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"

    @property
    def digest(self) -> str:
        """SHA-256 over the content apart from time and machine."""
        return str(self.content()["digest"])

    def _repr_html_(self) -> str:
        """As a notebook shows it: the decision, what limits it, every check."""
        kept = ("group", "name", "primary", "value", "low", "high", "rule", "threshold", "outcome", "reason")
        checks = pd.DataFrame([{key: getattr(check, key) for key in kept} for check in self.checks])
        title = f"{self.decision}: {self.candidate.id} against {self.incumbent.id} (profile {self.profile})"
        return fragment(
            title, [rows_of("", checks.astype(dict.fromkeys(("value", "low", "high"), float)))], lines=self.limits
        )


def digest_of(content: dict[str, Any]) -> str:
    """SHA-256 over a verdict's canonical JSON without what may differ between runs on the same inputs."""
    kept = {key: value for key, value in content.items() if key not in UNHASHED}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()).hexdigest()


def write_verdict(verdict: Verdict, path: Path) -> None:
    """Write the verdict's JSON whole or not at all, valid by its schema."""
    check_schema(verdict.content(), SCHEMA, str(path))
    write_text(path, verdict.text())


def read_verdict(path: Path) -> Verdict:
    """Read a verdict; `InputError` when it is no verdict, or was changed after it was written."""
    content = read_json(path)
    check_schema(content, SCHEMA, f"{path} is not a verdict")
    if digest_of(content) != content["digest"]:
        raise InputError(f"{path} was changed after it was written: its digest does not match its content")
    fields = {key: value for key, value in content.items() if key not in ("schema_version", "verdict", "digest")}
    for key in ("limits", "commands"):
        fields[key] = tuple(fields[key])
    fields["incumbent"], fields["candidate"] = Side(**fields["incumbent"]), Side(**fields["candidate"])
    fields["tables"] = tuple(TableRecord(**item) for item in fields["tables"])
    fields["measurements"] = tuple(Measurement(**item) for item in fields["measurements"])
    fields["checks"] = tuple(Check(**{**item, "outcome": Outcome(item["outcome"])}) for item in fields["checks"])
    if "look" in fields:
        fields["look"] = Look(**{**fields["look"], "shares": tuple(fields["look"]["shares"])})
    verdict = Verdict(**fields)
    if str(verdict.decision) != content["verdict"]:
        raise InputError(f"{path} says {content['verdict']}, but its checks say {verdict.decision}")
    return verdict


def _rounded(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float):
        return float(f"{value:.10g}")
    if isinstance(value, dict):
        return {str(key): _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
