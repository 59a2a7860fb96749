"""What CRF and what strength a clip asks for, by short encodes of samples of it."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.errors import InconclusiveError, InputError
from harness.files import scratch_folder
from harness.media.ffmpeg import find_ffmpeg
from harness.media.frames import ClipInfo, Frame
from harness.media.open import Clip
from harness.media.pairing import Input
from harness.models.sources import Mapper
from harness.models.working_size import WorkingSize
from harness.quality.libvmaf import DEFAULT_VMAF, PairedInput, check_size, measure
from harness.roi.encode import encode
from harness.roi.encoders import Encoder, Settings
from harness.roi.frame_offsets import FrameOffsets
from harness.roi.laws import Law
from harness.roi.offsets import Strength
from harness.roi.offsets_file import program_of
from harness.roi.remux import carrier_of
from harness.studies.roi.budgets import COSTS, WEAKEST, Budget, Point, at_budget, enclose, next_strength
from harness.studies.roi.samples import Samples, runs_of

BESIDE = 3.0  # how far from the encode's CRF that of the plain encode is that tells what VMAF costs
LEAST_APART = 0.5  # VMAF of these two: near its end it does not tell encodes apart, and a cost is chance
MOST_TRIED = 2  # strengths, once two enclose the budget
NEAR = 0.1  # VMAF by which a CRF may be finer than its target asks for
HALVES = ("libx264", "libx265")  # encoders that tell halves of a CRF apart
MOST_THREADS = 8
PROBE = "probe"  # the stage in which nobody knows how many frames there will be


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
class Tuned:
    """What probes of a clip chose.

    Attributes:
        crf: The CRF, found or given.
        vmaf: Whole-frame VMAF of the samples, plainly encoded at this CRF.
        target: The VMAF that the CRF was sought for, if any, as `vmaf=93`.
        strength: The strength that was sought, if any, in QP.
        budget: What it pays, as `vmaf=1`: per cent more bits at equal VMAF.
        paid: What it costs by the probes, in per cent of bits; less than the budget where `bound` says why.
        bound: Empty, or what keeps the budget from being paid.
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
    share: float | None = None


@dataclass(frozen=True)
class Probed:
    """An encode of the samples: bytes of video, and whole-frame VMAF."""

    bytes: int
    vmaf: float


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
    mapper: Mapper,
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
        mapper: Where maps come from.
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
        samples = Samples.of(clip, Path(folder) / "samples.y4m", lambda done: progress("sample", done))
        probes = _Probes(samples, able, settings, Path(folder), lambda done: progress(PROBE, done))
        if target:
            crf = find_crf(lambda crf: probes.plain(crf).vmaf, target, crf, able)
        strength = paid = None
        bound = ""
        if budget:
            mapper = _remembering(mapper, Path(folder))

            def at(strength: float) -> Point:
                asked = samples.offsets(mapper, working, Strength(strength), able, weight, law)
                cost = probes.cost(crf, probes.steered(crf, asked))
                return Point(strength, dict.fromkeys(COSTS, math.inf) | {"vmaf": cost}, math.nan)

            met = at_budget(enclosing(at, budget), budget)
            if met.strength < WEAKEST:
                raise InconclusiveError(
                    f"{info.path}: at CRF {crf:g} the weakest strength, {WEAKEST:g}, costs more than {budget} "
                    "(allowed: a larger --budget, or --strength QP)"
                )
            strength, paid, bound = round(met.strength, 2), round(met.paid["vmaf"], 3), met.bound
        return Tuned(
            crf,
            vmaf=round(probes.plain(crf).vmaf, 3),
            target=str(target) if target else None,
            strength=strength,
            budget=str(budget) if budget else None,
            paid=paid,
            bound=bound,
            frames=samples.count,
            encodes=probes.encodes,
            seconds=round(time.monotonic() - began, 2),
        )


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


def cost_of(steered: Probed, here: Probed, beside: Probed) -> float:
    """Per cent of bytes beyond those of a plain encode of the same VMAF.

    Log bytes over VMAF are taken for straight through two plain encodes, `here` and `beside`; `InconclusiveError` where
    the one with more bytes has not `LEAST_APART` more VMAF.
    """
    bits, quality = math.log(beside.bytes / here.bytes), beside.vmaf - here.vmaf
    if math.copysign(quality, bits * quality) < LEAST_APART:
        said = " and ".join(f"{one.vmaf:.2f} at {one.bytes} bytes" for one in (here, beside))
        raise InconclusiveError(
            f"VMAF hardly tells plain encodes apart here: {said} (needs {LEAST_APART:g} more for more bytes; "
            "allowed: --strength QP, or a coarser --crf)"
        )
    return 100 * math.expm1(math.log(steered.bytes / here.bytes) - bits / quality * (steered.vmaf - here.vmaf))


def enclosing(point_at: Callable[[float], Point], budget: Budget) -> list[Point]:
    """What `search` tries for one budget, but `MOST_TRIED` at most where these enclose it: samples tell no more."""
    points: list[Point] = []
    while (strength := next_strength(points, budget)) is not None:
        below, above = enclose(points, budget)
        if len(points) >= MOST_TRIED and above and below.strength:
            break
        points.append(point_at(strength))
    return points


class _Probes:
    """Encodes of samples, each measured; plain ones are made once for a CRF."""

    def __init__(
        self, samples: Samples, able: Encoder, settings: Settings, scratch: Path, heard: Callable[[int], None]
    ) -> None:
        self.samples, self.able, self.settings, self.heard = samples, able, settings, heard
        self.out = scratch / f"probe{carrier_of(able.suffixes)}"
        self.encodes = 0
        self._plain: dict[float, Probed] = {}

    def plain(self, crf: float) -> Probed:
        """The samples at a CRF, steered by nothing."""
        if crf not in self._plain:
            self._plain[crf] = self._made(crf, ((frame, None) for frame in self.samples))
        return self._plain[crf]

    def steered(self, crf: float, frames: Iterable[tuple[Frame, FrameOffsets]]) -> Probed:
        """The samples at a CRF with the offsets that their frames have."""
        return self._made(crf, frames)

    def cost(self, crf: float, steered: Probed) -> float:
        """What an encode at a CRF costs, beside the plain one and its neighbour on the same side."""
        low, high = self.able.crfs
        here = self.plain(crf)
        finer = crf - BESIDE >= low and (steered.vmaf >= here.vmaf or crf + BESIDE > high)
        return cost_of(steered, here, self.plain(crf - BESIDE if finer else crf + BESIDE))

    def _made(self, crf: float, frames: Iterable[tuple[Frame, FrameOffsets | None]]) -> Probed:
        samples, before = self.samples, self.encodes * self.samples.count
        settings = replace(self.settings, crf=crf)
        made = encode(samples.info, frames, self.able, settings, self.out, lambda done: self.heard(before + done))
        paired = PairedInput(Input(samples.raw), Input(self.out), 0, 0, samples.count, samples.info.frame_rate)
        threads = min(MOST_THREADS, len(os.sched_getaffinity(0)))
        log = measure(find_ffmpeg(), paired, metrics=(), threads=threads)
        self.out.unlink()
        self.encodes += 1
        return Probed(made.bytes, float(log.column("vmaf").mean()))


def _remembering(mapper: Mapper, folder: Path) -> Mapper:
    """The same maps, each made once."""

    def remembered(name: str, rgb: np.ndarray, working: WorkingSize) -> np.ndarray:
        path = folder / f"{name}.npy"
        if not path.exists():
            np.save(path, mapper(name, rgb, working))
        kept: np.ndarray = np.load(path)
        return kept

    return remembered
