"""What the candidate's map buys in real ROI encodes, against the incumbent's and the centre prior, at equal cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness import stats
from harness.errors import InputError
from harness.gate.groups.base import Question, Reading, Tables, Wanted, fact, measured, named
from harness.gate.policy import Policy, Profile
from harness.gate.rules import Kind, Rule
from harness.gate.verdict import Measurement
from harness.models.sources import CENTRE_PRIOR
from harness.roi.encoders import Settings as EncoderSettings
from harness.roi.encoders import find_encoder
from harness.roi.laws import Law
from harness.roi.repeats import UNSTEADY
from harness.studies.roi.budgets import Budget
from harness.studies.roi.plan import PLAIN, SweepPlan

NAME = "roi"
POINTS, GAINS = "roi.at_cost_points", "roi.at_cost_by_clip"
AS_USUAL = {"working size": SweepPlan.working, "preset": "the encoder's default"}


@dataclass(frozen=True)
class Settings:
    """The encodes to make, and what the candidate's map must buy in them where every arm pays the same.

    `frames` are encoded of each clip, no more than the profile has. `budgets` are what steering may cost, such as
    `vmaf=1`; at those of `primary` the candidate must beat the centre prior, at the others lose no more than
    `allowance` to it: one for all budgets, or one for each.
    """

    encoder: str
    law: str
    crf: tuple[int, ...]
    frames: int
    weights: str
    budgets: tuple[str, ...]
    primary: tuple[str, ...]
    allowance: float | tuple[float, ...]
    centre_margin: float

    @classmethod
    def of(cls, policy: Policy) -> Settings:
        """The policy's section."""
        return policy.section(cls, NAME)

    def allowed_at(self, budget: str) -> float:
        """Points of gain that may be lost at a budget."""
        each = self.allowance
        return each[self.budgets.index(budget)] if isinstance(each, tuple) else each


def check(policy: Policy, profile: Profile) -> None:
    """The encoder must exist, follow a map, and take every CRF; law and budgets must be such."""
    settings = Settings.of(policy)
    encoder = named("roi.encoder", find_encoder, settings.encoder)
    named("roi.law", Law.parse, settings.law)
    for crf in settings.crf:
        named("roi.crf", encoder.options, EncoderSettings(crf=crf))
    for budget in settings.budgets:
        named("roi.budgets", Budget.parse, budget)
    if strange := sorted(set(settings.primary) - set(settings.budgets)):
        raise InputError(f"policy: roi.primary: {strange[0]} (allowed: {', '.join(settings.budgets)})")
    if isinstance(settings.allowance, tuple) and len(settings.allowance) != len(settings.budgets):
        many = f"{len(settings.allowance)} for {len(settings.budgets)} budgets"
        raise InputError(f"policy: roi.allowance: {many} (allowed: one number for all, or one for each)")


def rules(policy: Policy, profile: Profile) -> Sequence[Rule]:
    """The map moves bits, and where it moves them to is worth no less than the incumbent's and more than the centre."""
    settings, clips = Settings.of(policy), len(profile.clip_names)

    def rule(name: str, key: str, kind: Kind, threshold: float, primary: bool = False) -> Rule:
        return Rule(NAME, name, key, kind, threshold, primary, whole=clips, unit="points", items="clips")

    found = [Rule(NAME, "map moves the bits", "roi.effect", Kind.FACT, whole=clips, unit="fact", items="clips")]
    for budget in settings.budgets:
        found.append(rule(f"gain at {budget}", f"roi.gain.{budget}", Kind.AT_LEAST, -settings.allowed_at(budget)))
        what, key = f"gain over the centre prior at {budget}", f"roi.centre_gain.{budget}"
        if budget in settings.primary:
            found.append(rule(what, key, Kind.SUPERIOR, settings.centre_margin, primary=True))
        else:
            found.append(rule(what, key, Kind.AT_LEAST, -settings.allowed_at(budget)))
    return found


def wanted(question: Question) -> Sequence[Wanted]:
    """All encodes, and strength and gain of every arm at every budget, clip by clip."""
    settings, profile = Settings.of(question.policy), question.profile
    rows = {"encoder": settings.encoder, "law": settings.law, "budgets": settings.budgets, "clip": profile.clip_names}
    how = {**AS_USUAL, "crfs": settings.crf, "frames": frames_of(settings, profile)}
    return [Wanted(kind, profile.clips, question.names, how, rows) for kind in (POINTS, GAINS)]


def frames_of(settings: Settings, profile: Profile) -> int:
    """How many frames of each clip are encoded: the profile's choice, else the section's; no more than it measures."""
    return min(profile.roi_frames or settings.frames, profile.frames)


def read(question: Question, tables: Tables) -> Reading:
    """Bits saved in the region that human masks show, where all pay the same, compared clip by clip."""
    points, gains = (tables.find(want) for want in wanted(question))
    unsteady = [note for note in points.notes if UNSTEADY in note]
    own = _own(gains.rows, question)
    found: list[Measurement] = []
    missing: dict[str, str] = {}
    for budget in Settings.of(question.policy).budgets:
        for item in _gains(own, question, budget):
            if isinstance(item, Measurement):
                found.append(item)
            else:
                missing |= item
    return Reading((_effect(_own(points.rows, question), question, unsteady), *found), missing)


def _own(rows: pd.DataFrame, question: Question) -> pd.DataFrame:
    """The rows of the policy's encoder and law, of the profile's clips; the prior and the plain arm have no law."""
    settings = Settings.of(question.policy)
    own = rows[(rows["encoder"] == settings.encoder) & rows["clip"].isin(question.profile.clip_names)]
    own = own[own["arm"].isin((PLAIN, CENTRE_PRIOR)) | (own["law"] == settings.law)]
    for arm in (question.old, question.new, CENTRE_PRIOR):
        if arm not in set(own["arm"]):
            raise InputError(f"no encodes of {arm} by {settings.encoder} under the law {settings.law}")
    return own


def _gains(rows: pd.DataFrame, question: Question, text: str) -> list[Measurement | dict[str, str]]:
    """Points below the incumbent and below the centre prior at one budget; or why there are none."""
    settings, how, budget = Settings.of(question.policy), question.policy.statistics, Budget.parse(text)
    here = rows[(rows["cost"] == budget.metric) & (rows["budget_%"] == budget.percent)]
    if here.empty:
        raise InputError(f"no gains at {text} (the policy asks for {', '.join(settings.budgets)})")
    gain = here.pivot(index="clip", columns="arm", values="gain_%")
    gain = gain.loc[[name for name in question.profile.clip_names if name in gain.index]]
    strength = here.groupby("arm")["strength"].mean()
    found: list[Measurement | dict[str, str]] = []
    null = settings.centre_margin if text in settings.primary else None
    for key, other, against in (("roi.gain", question.old, None), ("roi.centre_gain", CENTRE_PRIOR, null)):
        gains = (gain[question.new] - gain[other]).to_numpy(float)
        undefined = list(gain.index[np.isnan(gains)])
        if undefined:  # leaving a clip out could flatter
            found.append({f"{key}.{text}": f"undefined on {len(undefined)} of {len(gains)} clips ({undefined[0]})"})
        else:
            note = f"mean strength {strength[question.new]:.1f} against {strength[other]:.1f}"
            found.append(measured(f"{key}.{text}", stats.mean_of(gains, how, against), note=note))
    return found


def _effect(points: pd.DataFrame, question: Question, unsteady: Sequence[str]) -> Measurement:
    """Every encode by the candidate's map whose offsets must change the stream did; bytes that vary are said."""
    plain = points[points["arm"] == PLAIN].set_index(["clip", "crf"])["bytes"]
    own = points[(points["arm"] == question.new) & points["steered"]]
    moved = own["bytes"].to_numpy() != plain.loc[list(zip(own["clip"], own["crf"], strict=True))].to_numpy()
    clips = own["clip"].nunique()
    note = f"{int(moved.sum())} of {len(moved)} steered encodes differ from the plain one, on {clips} clips"
    held = bool(moved.all()) and clips == points["clip"].nunique()
    return fact("roi.effect", held, "; ".join([note, *unsteady]), count=clips)
