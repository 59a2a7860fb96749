"""Does the candidate's `saliency_mean` follow the content, and does compression leave it alone?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from harness import stats
from harness.errors import InputError
from harness.gate.groups.base import Question, Reading, Tables, Wanted, exactly, measured, named
from harness.gate.policy import Policy, Profile
from harness.gate.rules import Kind, Rule
from harness.gate.verdict import Measurement
from harness.metrics.drift import relative_drift
from harness.roi.encoders import Settings as EncoderSettings
from harness.roi.encoders import find_encoder
from harness.stats import Statistics
from harness.studies.score.feature import ENCODER, SOURCE

NAME = "feature"
MEANS, NATIVE = "score.feature", "score.native"
PARITY = "feature.parity"
DIFFERENCE, RATIO, BEYOND = "difference", "ratio", "beyond"
LEAST = 1e-4  # drift: below it a clip stands still, and a logarithm would say more than the data
EVERY = 4  # frames of a clip that are read: neighbours say nearly the same


@dataclass(frozen=True)
class Settings:
    """What `saliency_mean` must do: differ between clips, survive compression, agree with the native extractor.

    `drift_rule` says how the candidate's drift is held against the incumbent's: `difference` of the two, at most
    `drift_allowance`; `ratio`, one-sided over clips on logarithms, at most `drift_ratio`; or `beyond`, what is left of
    it beyond `drift_ratio` times the incumbent's, at most `drift_allowance`. An incumbent that drifts wildly from clip
    to clip can make the first undecidable, and one that drifts about as much as the candidate the second.
    """

    crf: tuple[int, ...]
    spread_above: float
    drift_within: float
    drift_allowance: float
    parity_within: float
    parity_required: bool
    drift_rule: str = DIFFERENCE
    drift_ratio: float = 1.0

    @classmethod
    def of(cls, policy: Policy) -> Settings:
        """The policy's section."""
        return policy.section(cls, NAME)


def check(policy: Policy, profile: Profile) -> None:
    """The encoder must take every CRF."""
    for crf in Settings.of(policy).crf:
        named("feature.crf", find_encoder(ENCODER).options, EncoderSettings(crf=crf))


def rules(policy: Policy, profile: Profile) -> Sequence[Rule]:
    """Spread, drift, drift against the incumbent's; parity with a native extractor where one is or must be."""
    settings = Settings.of(policy)

    def rule(name: str, key: str, kind: Kind, threshold: float) -> Rule:
        return Rule(NAME, name, key, kind, threshold, whole=len(profile.clip_names), items="clips")

    against = rule("drift beyond the incumbent's", "feature.drift_excess", Kind.AT_MOST, settings.drift_allowance)
    if settings.drift_rule == RATIO:
        against = rule("drift to the incumbent's", "feature.drift_ratio", Kind.AT_MOST, settings.drift_ratio)
    if settings.drift_rule == BEYOND:
        name = f"drift beyond {settings.drift_ratio:g} times the incumbent's"
        against = rule(name, "feature.drift_beyond", Kind.AT_MOST, settings.drift_allowance)
    whole = None if profile.whole_clips else profile.frames
    parity = Rule(NAME, "native parity", PARITY, Kind.AT_MOST, settings.parity_within, whole=whole)
    return [
        rule("spread over clips", "feature.spread", Kind.SUPERIOR, settings.spread_above),
        rule("drift under compression", "feature.drift", Kind.AT_MOST, settings.drift_within),
        against,
        replace(parity, optional=not settings.parity_required),
    ]


def wanted(question: Question) -> Sequence[Wanted]:
    """`saliency_mean` of every clip and its encodes, and the candidate in a native extractor."""
    settings, profile = Settings.of(question.policy), question.profile
    asked = {"clips": profile.clip_names, "crfs": settings.crf, "frames": profile.frames}
    return [
        Wanted(MEANS, profile.clips, question.names, {**asked, "every": EVERY}),
        Wanted(NATIVE, profile.clips, (question.new,), {**asked, "clips": profile.clip_names[:1]}),
    ]


def read(question: Question, tables: Tables) -> Reading:
    """Drift is relative to the clip itself, and a clip's encodes are averaged."""
    means, native = wanted(question)
    found: list[Measurement] = []
    missing, unavailable = {}, {}
    try:
        found += _over_clips(tables.find(means).rows, question)
    except InputError as error:
        missing = {rule.key: str(error) for rule in rules(question.policy, question.profile)[:-1]}
    try:
        table = tables.find(native)
        if table.settings["native"] is None:
            unavailable[PARITY] = f"no native mobilesal here ({table.settings['reason']})"
        else:
            (row,) = table.rows.to_dict(orient="records")
            note = f"{table.settings['native']} on {row['clip']}"
            note += "; it prints six decimals" if row.get("digits", "all") != "all" else ""
            found.append(exactly(PARITY, row["max_abs_diff"], note, count=int(row["frames"])))
    except InputError as error:
        missing[PARITY] = str(error)
    return Reading(tuple(found), missing, unavailable)


def _over_clips(rows: pd.DataFrame, question: Question) -> list[Measurement]:
    how = question.policy.statistics
    clean, new_drift, old_drift = _drifts(rows, question)
    beside = f"the incumbent drifts by {old_drift.mean():.3f}"
    found = [
        measured("feature.spread", stats.spread_of(clean[question.new], how)),
        measured("feature.drift", stats.mean_of(new_drift, how), note=beside),
        measured("feature.drift_excess", stats.mean_of(new_drift - old_drift, how)),
    ]
    settings = Settings.of(question.policy)
    if settings.drift_rule == RATIO:
        found.append(_ratio(new_drift, old_drift, question.policy.one_sided))
    if settings.drift_rule == BEYOND:
        rest = stats.mean_of(new_drift - settings.drift_ratio * old_drift, how)
        found.append(measured("feature.drift_beyond", rest))
    plcc = stats.pearson(clean[question.old], clean[question.new])
    if plcc is not None:
        note = "over clips; reported only"
        found.append(Measurement("feature.plcc_incumbent", plcc, count=len(new_drift), note=note))
    return found


def _ratio(new: np.ndarray, old: np.ndarray, one_sided: Statistics) -> Measurement:
    """The geometric mean over clips of the two drifts' ratio; its upper bound is one-sided at the policy's level."""
    logs = np.log(np.maximum(new, LEAST)) - np.log(np.maximum(old, LEAST))
    found = stats.mean_of(logs, one_sided)
    value, low, high = (float(np.exp(log)) for log in (found.value, found.low, found.high))
    return measured("feature.drift_ratio", stats.Estimate(value, low, high, count=found.count))


def _drifts(rows: pd.DataFrame, question: Question) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Every clip's own means by model, and how far its encodes are from them: of the candidate, of the incumbent."""
    wide = rows.pivot(index="clip", columns=["model", "version"], values="saliency_mean")
    wide = wide.loc[[name for name in question.profile.clip_names if name in wide.index]]
    for version in (SOURCE, *(f"crf {crf}" for crf in Settings.of(question.policy).crf)):
        if any((name, version) not in wide for name in question.names):
            raise InputError(f"the table has no rows of {version} for both models")
    clean = {name: wide[name][SOURCE].to_numpy(float) for name in question.names}
    drifts = []
    for name in (question.new, question.old):
        encodes = wide[name].drop(columns=SOURCE).to_numpy(float)
        drifts.append(relative_drift(clean[name], encodes))
    return clean, drifts[0], drifts[1]
