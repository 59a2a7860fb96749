"""Who is compared with whom, and on which profile: a table like any other, so that tables alone can be judged."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.errors import InputError
from harness.gate.groups.base import Question
from harness.gate.looks import at_look, profile_at
from harness.gate.policy import Policy, Profile
from harness.gate.verdict import Side
from harness.tables import Table

PAIR = "gate.pair"
ROLES = ("incumbent", "candidate")


@dataclass(frozen=True)
class Entrant:
    """One of the two: what tables call it, what a verdict says of it, and what a registry says of it.

    `registered` is whether it was asked for by its registry id, `smoke` whether it is there for smoke tests only.
    """

    name: str
    side: Side
    registered: bool
    smoke: bool = False


@dataclass(frozen=True)
class Pair:
    """Incumbent and candidate, and what to measure them on; at which look, where the policy declares any."""

    incumbent: Entrant
    candidate: Entrant
    profile: str
    look: int | None = None

    @property
    def weights(self) -> dict[str, str]:
        """The SHA-256 of both by what tables call them."""
        return {one.name: one.side.sha256 for one in (self.incumbent, self.candidate)}

    def question(self, policy: Policy) -> Question:
        """What the groups are asked; `InputError` for a profile or look that the policy does not hold."""
        names, rules = (self.incumbent.name, self.candidate.name), at_look(policy, self.look)
        profile = profile_at(policy, policy.profile(self.profile), self.look)
        return Question(rules, profile, self.incumbent.side, self.candidate.side, names)

    def limits(self, profile: Profile) -> list[str]:
        """Why no verdict on this pair may lead to a promotion, whatever it says."""
        limits = []
        if not profile.promotable:
            limits.append(f"profile {profile.name} measures on generated pictures and can promote nothing")
        if self.candidate.smoke:
            limits.append(f"{self.candidate.side.id} is for smoke tests and never to be promoted")
        if not self.candidate.registered:
            limits.append("the candidate was given as a path: only a registered model can be promoted")
        if self.candidate.side.sha256 == self.incumbent.side.sha256:
            limits.append("candidate and incumbent are the same file")
        return limits


def pair_table(pair: Pair, command: str) -> Table:
    """The pair as the table that `judge` asks for; `command` is what repeats the run."""
    rows = [
        {"role": role, "name": one.name, "id": one.side.id, "sha256": one.side.sha256, "file": one.side.file}
        | {"registered": one.registered, "smoke": one.smoke}
        for role, one in zip(ROLES, (pair.incumbent, pair.candidate), strict=True)
    ]
    title = f"{pair.candidate.side.id} against {pair.incumbent.side.id}"
    settings: dict[str, Any] = {"profile": pair.profile}
    settings |= {} if pair.look is None else {"look": pair.look}
    return Table(PAIR, "pair", title, pd.DataFrame(rows), command, models=pair.weights, settings=settings)


def read_pair(tables: Iterable[Table]) -> Pair:
    """The pair of the one table of its kind; `InputError` when there is none, or more."""
    found = [table for table in tables if table.kind == PAIR]
    if len(found) != 1:
        raise InputError(f"{len(found)} tables of kind {PAIR} (allowed: one, which says who is compared)")
    try:
        rows = found[0].rows.set_index("role").to_dict(orient="index")
        old, new = (_entrant(rows[role]) for role in ROLES)
        look = found[0].settings.get("look")
        return Pair(old, new, str(found[0].settings["profile"]), None if look is None else int(look))
    except (KeyError, ValueError, TypeError) as error:
        said = f"{type(error).__name__} {error}"
        raise InputError(f"table {found[0].name} does not say who is compared ({said}; gate again)") from error


def _entrant(row: Mapping[Hashable, Any]) -> Entrant:
    side = Side(row["id"], row["sha256"], row["file"])
    return Entrant(row["name"], side, bool(row["registered"]), bool(row["smoke"]))
