"""What steering buys: encode clips at several rates, arm by arm, and compare rates at equal quality."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor

import pandas as pd

from corpora.loader import ClipPair, clip_digest
from harness.errors import HarnessError, InputError
from harness.jobs import Job, Store, run_groups
from harness.media.open import open_clip
from harness.models.sources import CENTRE_PRIOR, ModelSource
from harness.roi.encoders import Settings, find_encoder
from harness.roi.proof import probe
from harness.studies.roi.arm import MODEL, Masks, labelled, measure_arm, places_of, weights_of
from harness.studies.roi.plan import METRICS, ORACLE, PLAIN, REFERENCE, SHUFFLED, SweepPlan, metrics_of, models_of
from harness.studies.roi.reference import ABOVE


def sweep(
    clips: Sequence[ClipPair],
    plan: SweepPlan,
    executor: Callable[[], Executor],
    store: Store | None = None,
    progress: Callable[[int, int], None] | None = None,
    failed: Callable[[str, str], None] | None = None,
) -> pd.DataFrame:
    """Encode and measure every clip with every arm.

    Returns:
        One row per clip, encoder, arm, strength and CRF: bytes, kbit/s and `metrics_of`; strength is NaN for plain.
        Clips of which `failed` hears, by name and why, have none.

    Raises:
        InputError: a clip cannot be measured, which is found before the first encode (`measurable` sorts such out).
        HarnessError: an encoder does not follow a map: in its probe, or by the very stream of the plain arm.
    """
    if not clips:
        raise InputError("no clips to sweep")
    for name, reason in measurable(clips, plan)[1].items():
        raise InputError(f"clip {name} cannot be measured: {reason}")
    for encoder in plan.encoders:
        probe(find_encoder(encoder), Settings(crf=plan.crfs[0], preset=plan.preset))
    models = models_of(plan)
    others = [*clips[1:], clips[0]]
    work = [each for clip, other in zip(clips, others, strict=True) for each in _jobs(clip, other, plan, models)]
    found = run_groups([job for job, _ in work], executor, store, progress, failed)
    rows: pd.DataFrame = pd.DataFrame(labelled(work, found))
    _refuse_ignored_maps(rows)
    return rows.rename(columns=dict(zip(METRICS, metrics_of(plan.region), strict=True)))


def measurable(
    clips: Sequence[ClipPair], plan: SweepPlan, failed: Callable[[str, str], None] | None = None
) -> tuple[list[ClipPair], dict[str, str]]:
    """The clips that every arm can be measured on, and by name why each of the others cannot; nothing is encoded.

    Raises `InputError` for what is no clip or no mask at all, unless `failed` hears of it by name.
    """
    reasons: dict[str, str] = {}
    for clip in clips:
        try:
            if reason := _refusal(clip, plan):
                reasons[clip.name] = reason
        except InputError as error:
            if failed is None:
                raise
            reasons[clip.name] = str(error)
            failed(clip.name, str(error))
    return [clip for clip in clips if clip.name not in reasons], reasons


def _refusal(clip: ClipPair, plan: SweepPlan) -> str | None:
    info = open_clip(clip.frames).info
    for encoder in plan.encoders:
        try:
            find_encoder(encoder).check(info)
        except InputError as error:
            return str(error)
    masks = Masks.of(clip.masks, info, plan.frames)
    if any(mask.any() for mask in masks):
        return None
    if plan.region == REFERENCE:
        return f"its reference finds no region above {ABOVE} in {len(masks.paths)} frames (name another)"
    return f"no foreground in its {len(masks.paths)} masks"


def _refuse_ignored_maps(rows: pd.DataFrame) -> None:
    where = ["clip", "encoder", "crf"]
    plain = rows[rows["arm"] == PLAIN][[*where, "stream_sha256"]]
    steered = rows[rows["steered"]].merge(plain, on=where, suffixes=("", "_plain"))
    steered["same"] = steered["stream_sha256"] == steered["stream_sha256_plain"]
    for (clip, encoder, arm, _), same in steered.groupby(["clip", "encoder", "arm", "strength"], sort=False)["same"]:
        if same.all():
            raise HarnessError(f"{encoder} ignored the map: {arm} on {clip} gave the plain streams")


def _jobs(clip: ClipPair, other: ClipPair, plan: SweepPlan, models: Sequence[ModelSource]) -> Iterator[tuple[Job, str]]:
    """Jobs, each with what tables call its arm."""
    inputs, lies = {"clip": clip_digest(clip)}, places_of(clip)
    arms = [(MODEL, source.name, *weights_of(source)) for source in models]
    arms += [(CENTRE_PRIOR, CENTRE_PRIOR, {}, {}), (ORACLE, ORACLE, {}, {})]
    if other is not clip:
        read, at = weights_of(models[0])
        read, at = {**read, "other": clip_digest(other)}, {**at, "other": str(other.frames.absolute())}
        arms.append((SHUFFLED, SHUFFLED, read, at))
    for encoder in plan.encoders:
        common = {
            "name": clip.name,
            "encoder": encoder,
            "crfs": list(plan.crfs),
            "preset": plan.preset,
            "working": plan.working,
            "limit": plan.frames,
        }
        yield Job(measure_arm, {**common, "arm": PLAIN, "strength": None}, inputs, lies), PLAIN
        for strength, (arm, label, read, at) in itertools.product(plan.strengths, arms):
            asked = {**common, "arm": arm, "strength": strength}
            yield Job(measure_arm, asked, {**inputs, **read}, {**lies, **at}), label
