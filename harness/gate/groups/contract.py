"""Would the extractor load and run the candidate, and is it the file that the registry means?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.gate.groups.base import Question, Reading, Tables, Wanted, fact
from harness.gate.policy import Policy, Profile
from harness.gate.rules import Kind, Rule

NAME = "contract"
FACTS_TABLE = "models.facts"
FACTS = {
    "graph": "graph loads in the extractor",
    "registry": "registry and sidecar agree",
    "sizes": "runs at every size",
    "finite": "map is finite",
    "range": "map is within [0, 1]",
}
HELD = {True: "yes", False: "no", None: "open"}
"""How a table says whether a fact holds."""


@dataclass(frozen=True)
class Settings:
    """Frame sizes, height and width, that the candidate must run at."""

    sizes: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, policy: Policy) -> Settings:
        """The policy's section."""
        return policy.section(cls, NAME)


def check(policy: Policy, profile: Profile) -> None:
    """Nothing that the schema does not know."""


def rules(policy: Policy, profile: Profile) -> Sequence[Rule]:
    """Every fact must hold."""
    return [Rule(NAME, name, f"contract.{key}", Kind.FACT, unit="fact") for key, name in FACTS.items()]


def wanted(question: Question) -> Sequence[Wanted]:
    """The candidate's facts."""
    asked = {"sizes": Settings.of(question.policy).sizes, "seed": question.policy.statistics.seed}
    return [Wanted(FACTS_TABLE, models=(question.new,), settings=asked)]


def read(question: Question, tables: Tables) -> Reading:
    """A fact that another one left open is missing."""
    (want,) = wanted(question)
    rows = tables.find(want).rows
    own = rows[rows["model"] == question.new].to_dict(orient="records")
    held = {row["fact"]: (str(row["held"]), str(row["note"])) for row in own}
    left_open = {f"contract.{key}": note for key, (said, note) in held.items() if said == "open"}
    found = [fact(f"contract.{key}", said == "yes", note) for key, (said, note) in held.items() if said != "open"]
    return Reading(tuple(found), left_open)
