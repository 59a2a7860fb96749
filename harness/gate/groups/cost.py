"""What the candidate costs against the incumbent: time a frame, paired in one run, and peak memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from harness import stats
from harness.errors import InputError
from harness.gate.groups.base import Question, Reading, Tables, Wanted, exactly, measured
from harness.gate.policy import Policy, Profile
from harness.gate.rules import Kind, Rule
from harness.gate.verdict import Measurement
from harness.studies.cost import label

NAME = "cost"
TIMES, MEMORY = "cost.times", "cost.memory"


@dataclass(frozen=True)
class Settings:
    """Allowed ratios of the candidate's cost to the incumbent's, at frame sizes in height and width."""

    sizes: tuple[tuple[int, int], ...]
    time_ratio: float
    memory_ratio: float

    @classmethod
    def of(cls, policy: Policy) -> Settings:
        """The policy's section."""
        return policy.section(cls, NAME)

    @property
    def largest(self) -> tuple[int, int]:
        """Where memory is compared."""
        return max(self.sizes, key=lambda size: size[0] * size[1])


def check(policy: Policy, profile: Profile) -> None:
    """Nothing that the schema does not know."""


def rules(policy: Policy, profile: Profile) -> Sequence[Rule]:
    """A ratio of times at every size, one of memory."""
    settings, found = Settings.of(policy), []
    for size in map(label, settings.sizes):
        key, limit = f"cost.time_ratio.{size}", settings.time_ratio
        rule = Rule(NAME, f"time ratio at {size}", key, Kind.AT_MOST, limit, whole=profile.rounds, unit="ratio")
        found.append(replace(rule, items="rounds"))
    return [*found, Rule(NAME, "memory ratio", "cost.memory_ratio", Kind.AT_MOST, settings.memory_ratio, unit="ratio")]


def wanted(question: Question) -> Sequence[Wanted]:
    """Times at every size and memory at the largest, both models in one run."""
    settings = Settings.of(question.policy)
    timed = {"sizes": settings.sizes, "rounds": question.profile.rounds}
    return [
        Wanted(TIMES, models=question.names, settings=timed),
        Wanted(MEMORY, models=question.names, settings={"size": settings.largest}),
    ]


def read(question: Question, tables: Tables) -> Reading:
    """The geometric mean of the rounds' ratios with its interval, and the ratio of peaks."""
    times, memory = wanted(question)
    found: list[Measurement] = []
    missing = {}
    try:
        rows = tables.find(times).rows
        found += [_time_ratio(rows, label(size), question) for size in Settings.of(question.policy).sizes]
    except InputError as error:
        missing = {rule.key: str(error) for rule in rules(question.policy, question.profile)[:-1]}
    try:
        peaks = tables.find(memory).rows.set_index("model")["peak_bytes"]
        size = label(Settings.of(question.policy).largest)
        ratio = float(peaks[question.new]) / float(peaks[question.old])
        found.append(exactly("cost.memory_ratio", ratio, f"peak memory at {size}"))
    except InputError as error:
        missing["cost.memory_ratio"] = str(error)
    return Reading(tuple(found), missing)


def _time_ratio(rows: pd.DataFrame, size: str, question: Question) -> Measurement:
    seconds = rows[rows["size"] == size].pivot(index="round", columns="model", values="seconds")
    old, new = seconds[question.old].to_numpy(float), seconds[question.new].to_numpy(float)
    key, found = f"cost.time_ratio.{size}", stats.mean_of(np.log(new / old), question.policy.statistics)
    first, second = (1000 * float(np.median(taken)) for taken in (old, new))
    note = f"{first:.1f} to {second:.1f} ms a frame on one thread"
    value, low, high = (float(np.exp(log)) for log in (found.value, found.low, found.high))
    return measured(key, stats.Estimate(value, low, high, count=found.count), note=note)
