"""What a group of checks is, what it is given and what it gives: the one Protocol behind which all groups stand.

A group measures nothing. It says by which rules a policy judges, which tables of which studies these need, and what the
rows of such tables say. So the same tables give the same checks, whoever measured them and whenever.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from harness.errors import InputError
from harness.gate.policy import Policy, Profile
from harness.gate.rules import Rule
from harness.gate.verdict import Measurement, Side
from harness.stats import Estimate
from harness.tables import Table

MISSING = "gate.missing"
"""Kind of the table that says why others are not there: `kind`, `data`, `reason`."""
DOUBTS = "gate.doubts"
"""Kind of the table that says what is odd about data of no known edition: `data`, `doubt`."""


@dataclass(frozen=True)
class Question:
    """May the candidate replace the incumbent? `names` are what tables call the two, incumbent first."""

    policy: Policy
    profile: Profile
    incumbent: Side
    candidate: Side
    names: tuple[str, str]

    @property
    def old(self) -> str:
        """What tables call the incumbent."""
        return self.names[0]

    @property
    def new(self) -> str:
        """What tables call the candidate."""
        return self.names[1]

    @property
    def statistics(self) -> dict[str, Any]:
        """How intervals are made, as a table's settings say it."""
        return asdict(self.policy.statistics)


@dataclass(frozen=True)
class Wanted:
    """A table that a group reads.

    Args:
        kind: The table's kind.
        data: The corpus or clip set that it is over, where it is over one.
        models: What it must be about, by name in tables.
        settings: What its settings must say; they may say more.
        rows: Which of its rows are read, for whoever measures them; a published table may hold others beside.
    """

    kind: str
    data: str = ""
    models: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """What a group read in tables.

    `missing` maps a rule's key, or the group's name, to why there is no measurement; `unavailable` does so for what the
    machine that measured lacked the means for: an optional rule falls away by it.
    """

    measurements: tuple[Measurement, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)


class Tables:
    """Tables to judge by, found by what they say of themselves and never by their names; `used` are those found."""

    def __init__(self, tables: Iterable[Table], weights: Mapping[str, str]) -> None:
        """`weights` holds the SHA-256 of both models by their name in tables."""
        self.all = tuple(tables)
        self.used: list[Table] = []
        self._weights = dict(weights)

    def find(self, wanted: Wanted) -> Table:
        """The one table that is `wanted`; `InputError` says why there is none, in the words of whoever measured."""
        fitting, reason = [], ""
        for table in self.all:
            if table.kind == wanted.kind and wanted.data in ("", *_names(table)):
                difference = self._difference(table, wanted)
                reason = reason or difference
                fitting += [] if difference else [table]
        if len(fitting) == 1:
            self.used += fitting
            return fitting[0]
        what = f"{wanted.kind} on {wanted.data}" if wanted.data else wanted.kind
        if fitting:
            raise InputError(f"{len(fitting)} tables of {what} (allowed: one)")
        raise InputError(self._told(wanted) or reason or f"no table of {what}")

    def _difference(self, table: Table, wanted: Wanted) -> str:
        for name in wanted.models:
            if table.models.get(name) != self._weights[name]:
                return f"table {table.name} is not about these weights of {name}"
        for key, value in wanted.settings.items():
            found = table.settings.get(key)
            if _plain(found) != _plain(value):
                return f"table {table.name} was made with {key} {_plain(found)} (the policy asks for {_plain(value)})"
        return ""

    def _told(self, wanted: Wanted) -> str:
        for table in self.all:
            if table.kind == MISSING:
                for row in table.rows.to_dict(orient="records"):
                    if (row["kind"], row["data"]) == (wanted.kind, wanted.data):
                        return str(row["reason"])
        return ""


class Group(Protocol):
    """A module of this package: a policy names it by the module's name, which is also the name of its section."""

    def check(self, policy: Policy, profile: Profile) -> None:
        """Raise `InputError`, with what is allowed, for a setting that means nothing here."""
        ...

    def rules(self, policy: Policy, profile: Profile) -> Sequence[Rule]:
        """Everything that the policy asks of a candidate, in the order that a verdict lists it."""
        ...

    def wanted(self, question: Question) -> Sequence[Wanted]:
        """The tables that `read` reads."""
        ...

    def read(self, question: Question, tables: Tables) -> Reading:
        """What the tables say, under the keys of the rules; an `InputError` leaves the whole group undecided."""
        ...


def measured(key: str, found: Estimate, items: int | None = None, note: str = "") -> Measurement:
    """An estimate under a rule's key: what it has no bounds or p-value for is None."""
    low, high, p_value, null = (
        None if math.isnan(number) else float(number) for number in (found.low, found.high, found.p_value, found.null)
    )
    return Measurement(key, float(found.value), low, high, p_value, null, found.count, items, note)


def exactly(key: str, value: float, note: str = "", count: int | None = None) -> Measurement:
    """A number that repeats itself: its interval is itself."""
    return Measurement(key, float(value), float(value), float(value), count=count, note=note)


def fact(key: str, held: bool, note: str, count: int | None = None) -> Measurement:
    """A yes or a no, with what was found, and over how many items."""
    return Measurement(key, float(held), count=count, note=note)


def named(place: str, read: Any, value: Any) -> Any:
    """`read(value)`, whose `InputError` gets the place in the policy that the value stands at."""
    try:
        return read(value)
    except InputError as error:
        raise InputError(f"policy: {place}: {error}") from error


def _names(table: Table) -> list[str]:
    """The sets that a table is over: `davis-2016/libby` and `ecssd[:200]` are of `davis-2016` and `ecssd`."""
    return [name.partition("/")[0].partition("[")[0] for name in table.data]


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))
