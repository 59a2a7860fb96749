"""What CRF and what strength a clip asks for, by short encodes of samples of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.errors import InconclusiveError, InputError
from harness.files import scratch_folder
from harness.media.ffmpeg import find_ffmpeg
from harness.media.frames import ClipInfo
from harness.media.open import Clip
from harness.models.sources import Mapper, MapSource
from harness.models.working_size import WorkingSize
from harness.quality.libvmaf import DEFAULT_VMAF, check_size
from harness.roi.encoders import Encoder, Settings
from harness.roi.laws import Law
from harness.roi.offsets import Shots, Strength
from harness.roi.offsets_file import program_of
from harness.studies.roi.arm import KeptMaps
from harness.studies.roi.budgets import COSTS, WEAKEST, Budget, Point, at_budget, enclose, next_strength
from harness.studies.roi.probes import Prober, Probes
from harness.studies.roi.samples import runs_of
from harness.studies.roi.shots import asked_alone, fewest_frames, shots_of, stretches

MOST_TRIED = 2  # strengths, once two enclose the budget
NEAR = 0.1  # VMAF by which a CRF may be finer than its target asks for
HALVES = ("libx264", "libx265")  # encoders that tell halves of a CRF apart


@dataclass(frozen=True)
class Target:
    """The whole-frame VMAF that a plain encode is to have.

    Raises `InputError` for another quality, and for a number that none is.

    >>> Target.parse("vmaf=93")
    Target(metric='vmaf', value=93.0)
    """

    metric: str = "vmaf"
    value: float = 93.0

    def __post_init__(self) -> None:
        if self.metric != "vmaf" or not 0 < self.value <= 100:
            raise InputError(f"target {self} (allowed: vmaf=NUMBER, above 0 to 100)")

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read `vmaf=NUMBER`; `InputError` says what is allowed."""
        metric, _, number = text.partition("=")
        try:
            return cls(metric, float(number))
        except ValueError as error:
            raise InputError(f"target {text!r} (allowed: vmaf=NUMBER, such as vmaf=93)") from error

    def __str__(self) -> str:
        return f"{self.metric}={self.value:g}"


@dataclass(frozen=True)
class OfShot:
    """What probes of one shot chose.

    Attributes:
        first: The number of its first frame.
        frames: How many frames it has.
        strength: Its strength in QP.
        paid: What that costs by the probes; None where it was not asked and takes the weakest of the others.
        bound: Empty, or what keeps the budget from being paid.
    """

    first: int
    frames: int
    strength: float
    paid: float | None
    bound: str


@dataclass(frozen=True)
class Tuned:
    """What probes of a clip chose.

    Attributes:
        crf: The CRF, found or given.
        vmaf: Whole-frame VMAF of the samples, plainly encoded at this CRF.
        target: The VMAF that the CRF was sought for, if any, as `vmaf=93`.
        strength: The strength that was sought, if any, in QP; where shots have their own, its mean over the frames.
        budget: What it pays, as `vmaf=1`: per cent more bits at equal VMAF.
        paid: What it costs by the probes, in per cent of bits, the mean over shots that were asked; less than the
            budget where `bound` says why.
        bound: Empty, or what keeps the budget from being paid.
        shots: What each shot has, where two or more are long enough to be asked; else empty.
        frames: How many frames were sampled.
        encodes: How many times they were encoded.
        seconds: What all of that took.
        share: The same as a share of the time of the two encodes; None until they are made.
    """

    crf: float
    vmaf: float
    target: str | None
    strength: float | None
    budget: str | None
    paid: float | None
    bound: str
    frames: int
    encodes: int
    seconds: float
    shots: tuple[OfShot, ...] = ()
    share: float | None = None

    @property
    def knob(self) -> Strength | Shots | None:
        """What to encode with; None where no strength was sought."""
        if self.shots:
            return Shots(
                tuple(shot.first for shot in self.shots), tuple(Strength(shot.strength) for shot in self.shots)
            )
        return None if self.strength is None else Strength(self.strength)


def check_tuning(able: Encoder, settings: Settings, budget: Budget | None, target: Target | None) -> None:
    """`InputError` unless a budget or a target can be met with these settings."""
    what = "--strength auto" if budget else "--target"
    if not (budget or target):
        return
    if budget and (budget.metric != "vmaf" or not budget.percent):
        raise InputError(f"budget {budget} (allowed with --strength auto: vmaf=PERCENT, above 0)")
    if settings.bitrate is not None:
        raise InputError(f"{what} beside --bitrate: every strength has the same bits there (allowed: --crf)")
    if target and settings.crf is not None:
        raise InputError(f"--target {target} beside --crf {settings.crf:g} (allowed: one of them)")
    usual_crf(able, settings)
    if able.program:
        program_of(able)


def usual_crf(able: Encoder, settings: Settings) -> float:
    """The CRF of an encode with these settings: theirs, or the encoder's own default."""
    if settings.crf is not None:
        return settings.crf
    usual, crfs = able.options(settings), np.arange(able.crfs[0], able.crfs[1] + 1).tolist()
    same = [crf for crf in crfs if able.options(replace(settings, crf=crf)) == usual]
    if len(same) != 1:
        raise InputError(f"{able.name} with {settings}: an option sets the quality (allowed: --crf)")
    return float(same[0])


def planned_probes(
    info: ClipInfo, able: Encoder, settings: Settings, budget: Budget | None, target: Target | None
) -> str:
    """What `tune` would do, in words; empty where nothing is sought. Raises as `check_tuning`."""
    check_tuning(able, settings, budget, target)
    if not (budget or target):
        return ""
    frames = "" if info.frames is None else f"{sum(map(len, runs_of(info.frames)))} of "
    sought = [f"the CRF at which a plain encode has {target}"] if target else []
    if budget:
        at = "there" if target else f"at CRF {usual_crf(able, settings):g}"
        sought.append(f"the strength that pays {budget} {at}")
    return f"first {frames}its frames would be encoded several times to find {', then '.join(sought)}"


def tune(
    clip: Clip,
    source: MapSource,
    able: Encoder,
    settings: Settings,
    *,
    working: WorkingSize,
    weight: float,
    law: Law,
    budget: Budget | None,
    target: Target | None,
    progress: Callable[[str, int], None],
) -> Tuned:
    """Find the CRF that has `target`, then the strength that pays `budget` at it, each where it is asked for.

    A strength costs the bits of the steered samples beyond those that plain ones need for the same VMAF, by plain
    encodes at this CRF and, on the side where the steered ones lie, at `BESIDE` more or less.

    Args:
        clip: The clip, opened.
        source: Where maps come from; each is made once.
        able: The encoder.
        settings: Those of the encode.
        working: The size at which the model sees a frame.
        weight: The newest map's share in the average over time.
        law: From map to offset.
        budget: What steering may cost, if a strength is sought.
        target: The VMAF of the plain encode, if a CRF is sought.
        progress: Hears the stage and the frames done in it.

    Returns:
        What was found, and what it took.

    Raises:
        InputError: The settings leave nothing to seek, the pictures are too small for VMAF, or no CRF has the target.
        InconclusiveError: VMAF does not tell CRFs apart here, or the weakest strength costs more than the budget.
        HarnessError: An encode or its measurement fails.
    """
    check_tuning(able, settings, budget, target)
    info = clip.info
    check_size(find_ffmpeg(), info.width, info.height, info.pix_fmt, (DEFAULT_VMAF,), ())
    began, crf = time.monotonic(), usual_crf(able, settings)
    with scratch_folder() as folder:
        prober = Prober(clip, able, settings, Path(folder), progress)
        long = info.frames is None or info.frames >= fewest_frames()
        shots = stretches(shots_of(clip, lambda done: progress("shots", done))) if budget and long else []
        alone = asked_alone(shots)
        whole = prober.of() if target or not alone else None
        if target and whole:
            crf = find_crf(lambda crf: whole.plain(crf).vmaf, target, crf, able)
        strength = paid = None
        bound, found = "", []
        if budget:
            mapper = KeptMaps(source, Path(folder) / "maps").open(threads=0)
            seek = _Seek(able, crf, working, weight, law, budget, mapper)
            if whole and not alone:
                strength, paid, bound = seek.strength(whole)
            else:
                found = seek.by_shot(shots, alone, prober)
                strength = round(sum(shot.strength * shot.frames for shot in found) / sum(map(len, shots)), 2)
                asked = [shot for shot in found if shot.paid is not None]
                total = sum(shot.frames for shot in asked)
                paid = round(sum(shot.frames * (shot.paid or 0) for shot in asked) / total, 3)
                bound = next((shot.bound for shot in asked if shot.bound), "")
        vmafs = [(probes.plain(crf).vmaf, probes.samples.count) for probes in prober.made if probes.probed(crf)]
        return Tuned(
            crf,
            vmaf=round(sum(vmaf * count for vmaf, count in vmafs) / sum(count for _, count in vmafs), 3),
            target=str(target) if target else None,
            strength=strength,
            budget=str(budget) if budget else None,
            paid=paid,
            bound=bound,
            frames=sum(probes.samples.count for probes in prober.made),
            encodes=sum(probes.encodes for probes in prober.made),
            seconds=round(time.monotonic() - began, 2),
            shots=tuple(found),
        )


@dataclass(frozen=True)
class _Seek:
    """A strength is sought at this CRF, with these maps, for this budget."""

    able: Encoder
    crf: float
    working: WorkingSize
    weight: float
    law: Law
    budget: Budget
    mapper: Mapper

    def strength(self, probes: Probes) -> tuple[float, float, str]:
        """The strength that pays the budget on samples, what it pays, and what keeps it from more."""

        def at(strength: float) -> Point:
            knob = Strength(strength)
            asked = probes.samples.offsets(self.mapper, self.working, knob, self.able, self.weight, self.law)
            cost = probes.cost(self.crf, probes.steered(self.crf, asked))
            return Point(strength, dict.fromkeys(COSTS, math.inf) | {"vmaf": cost}, math.nan)

        met = at_budget(enclosing(at, self.budget), self.budget)
        weakest = min(WEAKEST, self.able.steps.step)  # below a step of the encoder hardly a block moves
        if met.strength < weakest:
            raise InconclusiveError(
                f"{probes.samples.info.path}{probes.samples.where}: at CRF {self.crf:g} the weakest strength, "
                f"{weakest:g}, costs more than {self.budget} (allowed: a larger --budget, or --strength QP)"
            )
        return round(met.strength, 2), round(met.paid["vmaf"], 3), met.bound

    def by_shot(self, shots: Sequence[range], alone: Sequence[range], prober: Prober) -> list[OfShot]:
        """What every shot has: its own strength where it is asked for one, else the weakest of those."""
        asked = {shot: self.strength(probes) for shot, probes in zip(alone, prober.of_shots(alone), strict=True)}
        weakest = min(strength for strength, _, _ in asked.values())
        rest: tuple[float, float | None, str] = (weakest, None, "")
        return [OfShot(shot.start, len(shot), *asked.get(shot, rest)) for shot in shots]


def find_crf(vmaf_at: Callable[[float], float], target: Target, first: float, able: Encoder) -> float:
    """The coarsest CRF whose VMAF is not below the target, to within `NEAR`; `InputError` where there is none."""
    low, high, step = *able.crfs, 0.5 if able.name in HALVES else 1.0
    fine: tuple[float, float] | None = None
    coarse: tuple[float, float] | None = None
    crf, jump = first, 0.5
    while True:
        vmaf = vmaf_at(crf)
        if 0 <= vmaf - target.value <= NEAR:
            return crf
        if vmaf >= target.value:
            fine = crf, vmaf
        else:
            coarse = crf, vmaf
        if fine and coarse:
            if coarse[0] - fine[0] <= step:
                return fine[0]
            share = (fine[1] - target.value) / (fine[1] - coarse[1])
            asked = fine[0] + (coarse[0] - fine[0]) * min(max(share, 0.2), 0.8)
            crf = min(max(round(asked / step) * step, fine[0] + step), coarse[0] - step)
            continue
        if crf == (high if fine else low):
            raise InputError(f"{target} with {able.name}: CRF {crf:g} has {vmaf:.2f} (allowed: a target beside that)")
        jump = max(2 * jump, 1.5 * abs(vmaf - target.value))  # about a point of VMAF for a CRF, and further than that
        crf = min(max(crf + math.copysign(round(jump / step) * step, vmaf - target.value), low), high)


def enclosing(point_at: Callable[[float], Point], budget: Budget) -> list[Point]:
    """What `search` tries for one budget, but `MOST_TRIED` at most where these enclose it: samples tell no more."""
    points: list[Point] = []
    while (strength := next_strength(points, budget)) is not None:
        below, above = enclose(points, budget)
        if len(points) >= MOST_TRIED and above and below.strength:
            break
        points.append(point_at(strength))
    return points
