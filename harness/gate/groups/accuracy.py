"""Is the candidate's map closer to human masks than the incumbent's, on the same images?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness import metrics
from harness.errors import InputError
from harness.gate.groups.base import Question, Reading, Tables, Wanted, measured, named
from harness.gate.policy import Policy, Profile
from harness.gate.rules import Kind, Rule
from harness.gate.verdict import Measurement
from harness.metrics.sizes import CLASSES
from harness.models.working_size import WorkingSize
from harness.saliency.distort import CLEAN
from harness.stats import FEWEST, Estimate

NAME = "accuracy"
PAIRED = "eval.paired"
SAMPLE = "sample"  # in a table's settings: of a set, the first in an order by chance


@dataclass(frozen=True)
class Settings:
    """One primary measure to be better at, and how much may be lost in the others.

    Object sizes are judged on `size_sets` [default: on all], for some sets have too few of a class.
    """

    working_size: str
    primary: str
    primary_margin: float
    size_measure: str
    size_allowance: float
    undefined_share: float
    allowances: Mapping[str, float]
    size_sets: tuple[str, ...] = ()

    @classmethod
    def of(cls, policy: Policy) -> Settings:
        """The policy's section."""
        return policy.section(cls, NAME)

    @property
    def by_size(self) -> list[str]:
        """The measure of each class of object sizes."""
        return [self.size_measure.replace("{size}", size) for size in CLASSES]

    @property
    def measures(self) -> list[str]:
        """Every measure that there is a rule for."""
        return [self.primary, *self.allowances, *self.by_size]


def check(policy: Policy, profile: Profile) -> None:
    """A measure must exist and have a direction: without one a gain has no sign."""
    settings = Settings.of(policy)
    named("accuracy.working_size", WorkingSize.parse, settings.working_size)
    for measure in settings.measures:
        named("accuracy", lambda key: metrics.metric(key).sign, measure)


def rules(policy: Policy, profile: Profile) -> Sequence[Rule]:
    """Superiority in the primary measure, non-inferiority in the others and within each class of object sizes."""
    return [rule for corpus in profile.accuracy for rule in _rules(Settings.of(policy), corpus, profile.pairs[corpus])]


def _rules(settings: Settings, corpus: str, whole: int) -> Iterator[Rule]:
    def rule(measure: str, kind: Kind, threshold: float, undefined: float | None, primary: bool = False) -> Rule:
        name, key = f"{measure} gain on {corpus}", _key(corpus, measure)
        return Rule(NAME, name, key, kind, threshold, primary, whole, undefined, items="images")

    share = settings.undefined_share
    yield rule(settings.primary, Kind.SUPERIOR, settings.primary_margin, share, primary=True)
    for measure, allowed in settings.allowances.items():
        yield rule(measure, Kind.AT_LEAST, -allowed, share)
    for measure in (
        settings.by_size if corpus in (settings.size_sets or (corpus,)) else ()
    ):  # an image is of one class: undefined in the two others
        yield rule(measure, Kind.AT_LEAST, -settings.size_allowance, None)


def wanted(question: Question) -> Sequence[Wanted]:
    """Paired differences on every corpus of the profile."""
    settings = Settings.of(question.policy)
    margin = settings.primary_margin
    asked = {
        "colour": "rgb",
        "map range": "raw",
        "truth": "mask > 128",
        "statistics": question.statistics,
        "nulls": {settings.primary: margin} if margin else {},
    }
    rows = {"working_size": settings.working_size, "distortion": str(CLEAN)}
    return [
        Wanted(PAIRED, corpus, question.names, asked | _sample(question, corpus), rows)
        for corpus in question.profile.accuracy
    ]


def _sample(question: Question, corpus: str) -> dict[str, Any]:
    """How a table says that it is over the part of a set that a look is over, and which one."""
    part, whole = (one.pairs[corpus] for one in (question.profile, question.policy.profile(question.profile.name)))
    return {} if part == whole else {SAMPLE: {"images": part, "of": whole, "seed": question.policy.statistics.seed}}


def read(question: Question, tables: Tables) -> Reading:
    """Paired gains on every corpus that there is a table for; what is absent is missing for its own rules only."""
    settings = Settings.of(question.policy)
    asked = {rule.key for rule in rules(question.policy, question.profile)}
    found: list[Measurement] = []
    missing: dict[str, str] = {}
    for want in wanted(question):
        try:
            rows = _rows(tables.find(want).rows, question, want)
        except InputError as error:
            missing |= {key: str(error) for measure in settings.measures if (key := _key(want.data, measure)) in asked}
            continue
        for measure in settings.measures:
            key = _key(want.data, measure)
            if key not in asked and (measure not in rows or pd.isna(rows[measure]["low"])):
                continue  # no rule misses it
            if measure not in rows:
                missing[key] = f"the table has no row of {measure}"
            elif pd.isna(rows[measure]["low"]):
                few = rows[measure]
                missing[key] = f"defined for both on {few['defined']} of {few['images']} images: needs {FEWEST} or more"
            else:
                null = settings.primary_margin if measure == settings.primary else 0.0
                found.append(measured(key, gain(rows[measure], null), int(rows[measure]["images"])))
    return Reading(tuple(found), missing)


def gain(row: Mapping[str, Any], null: float = 0.0) -> Estimate:
    """A row of paired differences, positive where the model is better than the one that it is compared with.

    Args:
        row: `measure`, `difference`, `low`, `high`, `p_value`, `defined`.
        null: What the p-value tests the gain against.
    """
    value, low, high = (float(row[name]) for name in ("difference", "low", "high"))
    if metrics.metric(row["measure"]).sign < 0:
        value, low, high = -value, -high, -low
    return Estimate(value, low, high, float(row["p_value"]), int(row["defined"]), null)


def _rows(rows: pd.DataFrame, question: Question, want: Wanted) -> dict[str, dict[str, Any]]:
    """The candidate's differences from the incumbent by measure; `InputError` when there are none, or two of one."""
    own = rows[(rows["split"] == want.data) & (rows["model"] == question.new) & (rows["against"] == question.old)]
    for column, value in want.rows.items():
        own = own[own[column] == value]
    if own.empty:
        raise InputError(f"the table has no rows of {question.new} against {question.old} on {want.data}")
    if (twice := own["measure"].duplicated()).any():
        raise InputError(f"the table has two rows of {own.loc[twice, 'measure'].iloc[0]}")
    return {str(row["measure"]): {str(key): row[key] for key in row} for row in own.to_dict(orient="records")}


def _key(corpus: str, measure: str) -> str:
    return f"accuracy.{corpus}.{measure}.gain"
