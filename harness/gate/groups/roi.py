"""What the candidate's map buys in real ROI encodes, against the incumbent's and the centre prior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness import stats
from harness.errors import HarnessError, InputError
from harness.gate.groups.base import Question, Reading, Tables, Wanted, fact, measured, named
from harness.gate.policy import Policy, Profile
from harness.gate.rules import Kind, Rule
from harness.gate.verdict import Measurement
from harness.models.sources import CENTRE_PRIOR
from harness.quality.bdrate import bd_quality
from harness.roi.encoders import Settings as EncoderSettings
from harness.roi.encoders import find_encoder
from harness.roi.offsets import Strength
from harness.roi.repeats import UNSTEADY
from harness.studies.roi.plan import PLAIN, SweepPlan

NAME = "roi"
POINTS, RATES = "roi.points", "roi.bdrate_by_clip"
QUALITY = "psnr_y@mask"  # weighed by human masks: independent of every map that steers
AS_USUAL = {"working size": SweepPlan.working, "preset": "the encoder's default"}


@dataclass(frozen=True)
class Settings:
    """The encodes to make, and what the candidate's map must buy in them."""

    encoder: str
    strength: float
    crf: tuple[int, ...]
    weights: str
    bdrate_allowance: float
    centre_margin: float
    vmaf_allowance: float

    @classmethod
    def of(cls, policy: Policy) -> Settings:
        """The policy's section."""
        return policy.section(cls, NAME)


def check(policy: Policy, profile: Profile) -> None:
    """The encoder must exist, follow a map, and take every CRF; the strength must be one."""
    settings = Settings.of(policy)
    encoder = named("roi.encoder", find_encoder, settings.encoder)
    named("roi.strength", Strength, settings.strength)
    for crf in settings.crf:
        named("roi.crf", encoder.options, EncoderSettings(crf=crf))


def rules(policy: Policy, profile: Profile) -> Sequence[Rule]:
    """The map moves bits, and where it moves them to is worth no less than the incumbent's and more than the centre."""
    settings, clips = Settings.of(policy), len(profile.clip_names)

    def rule(name: str, key: str, kind: Kind, threshold: float, primary: bool = False) -> Rule:
        return Rule(NAME, name, key, kind, threshold, primary, whole=clips, unit="points", items="clips")

    encodes = clips * len(settings.crf)
    return [
        Rule(NAME, "map moves the bits", "roi.effect", Kind.FACT, whole=encodes, unit="fact"),
        rule("BD-rate gain", "roi.bdrate_gain", Kind.AT_LEAST, -settings.bdrate_allowance),
        rule("gain over the centre prior", "roi.centre_gain", Kind.SUPERIOR, settings.centre_margin, primary=True),
        rule("whole-frame VMAF gain", "roi.vmaf_gain", Kind.AT_LEAST, -settings.vmaf_allowance),
    ]


def wanted(question: Question) -> Sequence[Wanted]:
    """All encodes, and the BD-rate of every arm against the plain encode, clip by clip."""
    settings, profile = Settings.of(question.policy), question.profile
    rows = {"encoder": settings.encoder, "strength": settings.strength, "crf": tuple(map(float, settings.crf))}
    rows |= {"clip": profile.clip_names, "frames": profile.frames}
    return [Wanted(kind, profile.clips, question.names, AS_USUAL, rows) for kind in (POINTS, RATES)]


def read(question: Question, tables: Tables) -> Reading:
    """Rates at equal quality and VMAF at equal rate, compared clip by clip."""
    used = [tables.find(want) for want in wanted(question)]
    points, rates = (_own(table.rows, question) for table in used)
    unsteady = [note for note in used[0].notes if UNSTEADY in note]
    _refuse_others(points, question)
    found, missing = _gains(rates, question)
    try:
        vmaf = np.array([_vmaf_gain(rows, question) for _, rows in points.groupby("clip", sort=False)])
        found.append(measured("roi.vmaf_gain", stats.mean_of(vmaf, question.policy.statistics)))
    except (HarnessError, ValueError) as error:
        missing["roi.vmaf_gain"] = str(error)
    return Reading((_effect(points, question, unsteady), *found), missing)


def _own(rows: pd.DataFrame, question: Question) -> pd.DataFrame:
    """The rows at the policy's encoder and strength, of the profile's clips; the plain arm has no strength."""
    settings = Settings.of(question.policy)
    own = rows[(rows["encoder"] == settings.encoder) & rows["clip"].isin(question.profile.clip_names)]
    return own[(own["arm"] == PLAIN) | (own["strength"] == settings.strength)]


def _refuse_others(points: pd.DataFrame, question: Question) -> None:
    """`InputError` unless every arm that counts was encoded at the policy's CRFs and over the profile's frames."""
    settings, profile = Settings.of(question.policy), question.profile
    for arm in (PLAIN, question.old, question.new, CENTRE_PRIOR):
        for clip, rows in points[points["arm"] == arm].groupby("clip", sort=False):
            if sorted(rows["crf"]) != sorted(map(float, settings.crf)):
                found = ", ".join(f"{crf:g}" for crf in sorted(rows["crf"]))
                asked = ", ".join(map(str, settings.crf))
                raise InputError(f"{arm} on {clip} was encoded at CRF {found} (the policy asks for {asked})")
            if set(rows["frames"]) != {profile.frames}:
                raise InputError(f"{clip} was encoded over {rows['frames'].iloc[0]} frames, not {profile.frames}")
        if arm not in set(points["arm"]):
            raise InputError(f"no encodes of {arm} by {settings.encoder} at strength {settings.strength:g}")


def _gains(rates: pd.DataFrame, question: Question) -> tuple[list[Measurement], dict[str, str]]:
    """BD-rate points below the incumbent and below the centre prior, in the quality that human masks weigh."""
    how, margin = question.policy.statistics, Settings.of(question.policy).centre_margin
    bd_rate = rates[rates["metric"] == QUALITY].pivot(index="clip", columns="arm", values="bd_rate")
    bd_rate = bd_rate.loc[[name for name in question.profile.clip_names if name in bd_rate.index]]
    found, missing = [], {}
    for key, other, null in (("roi.bdrate_gain", question.old, None), ("roi.centre_gain", CENTRE_PRIOR, margin)):
        gains = (bd_rate[other] - bd_rate[question.new]).to_numpy(float)
        undefined = list(bd_rate.index[np.isnan(gains)])
        if undefined:  # leaving a clip out could flatter
            missing[key] = f"BD-rate is undefined on {len(undefined)} of {len(gains)} clips (first: {undefined[0]})"
        else:
            found.append(measured(key, stats.mean_of(gains, how, null)))
    return found, missing


def _effect(points: pd.DataFrame, question: Question, unsteady: Sequence[str]) -> Measurement:
    """No encode with the candidate's map is as large as the plain one; its note also says that bytes do not repeat."""
    sizes = points.pivot_table(index=["clip", "crf"], columns="arm", values="bytes")
    moved = sizes[question.new] != sizes[PLAIN]
    note = f"{int(moved.sum())} of {len(moved)} encodes differ from the plain one"
    return fact("roi.effect", bool(moved.all()), "; ".join([note, *unsteady]), count=len(moved))


def _vmaf_gain(rows: pd.DataFrame, question: Question) -> float:
    """Whole-frame VMAF points of the candidate above the incumbent at equal bitrate on one clip."""
    curves = []
    for arm in question.names:
        own = rows[rows["arm"] == arm].sort_values("kbps")
        curves += [own["kbps"].tolist(), own["vmaf"].tolist()]
    return bd_quality(*curves)
