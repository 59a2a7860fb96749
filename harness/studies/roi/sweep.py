"""What steering buys: encode clips at several rates, arm by arm, and compare rates at equal quality."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from corpora.loader import ClipPair, clip_digest, images_in
from harness import stats
from harness.errors import HarnessError, InconclusiveError, InputError
from harness.jobs import Job, Store, run_jobs
from harness.media.ffmpeg import find_ffmpeg
from harness.media.frames import Frame
from harness.media.open import Clip, open_clip
from harness.media.pairing import Input
from harness.media.pictures import read_mask
from harness.models.model_file import ModelFile
from harness.models.sources import CENTRE_PRIOR, CentrePrior, MapSource, ModelSource
from harness.models.working_size import WorkingSize
from harness.quality.bdrate import MIN_POINTS, bd_rate
from harness.quality.libvmaf import PairedInput, measure
from harness.quality.weighted import WeightedSums, region_of, weighted_sums
from harness.roi.by_file import write_y4m_with_offsets
from harness.roi.encode import encode
from harness.roi.encoders import Settings, find_encoder
from harness.roi.offsets import Strength
from harness.roi.plans import plans_of
from harness.roi.proof import probe, stream_digest
from harness.saliency.colour import true_rgb
from harness.studies.roi.encode import map_source

PLAIN, ORACLE, SHUFFLED = "plain", "oracle", "shuffled"
SURE_QP = 2.0  # from here on an offset must change the stream: x264 skips a single step from block to block
MASK, REFERENCE = "mask", "reference"  # regions: a human's, an independent model's
METRICS = ("psnr_y@mask", "ssim_y@mask", "vmaf@mask", "psnr_y", "ssim_y", "vmaf", "xpsnr_y")
"""Quality columns of a sweep's rows; `@mask` weighs by the clip's masks, whatever map steered."""


@dataclass(frozen=True)
class SweepPlan:
    """What to encode. `models` are registry ids or paths; `frames` cuts every clip, None takes it whole.

    `region` names what the clips' masks are, for the keys `psnr_y@region`. Arms are plain, every model, the centre
    prior, the first model's maps of another clip, and the masks themselves.
    """

    models: tuple[str, ...]
    encoders: tuple[str, ...] = ("libx264",)
    crfs: tuple[float, ...] = (22, 27, 32, 37)
    strengths: tuple[float, ...] = (4.0,)
    preset: str | None = None
    working: str = "448x256"
    frames: int | None = None
    region: str = MASK

    def __post_init__(self) -> None:
        if len(set(self.crfs)) < MIN_POINTS:
            raise InputError(f"{len(set(self.crfs))} CRFs (allowed: {MIN_POINTS} or more different ones, for BD-rate)")
        if not self.models:
            raise InputError("no model to sweep (allowed: one or more)")
        for what in ("models", "encoders", "crfs", "strengths"):
            values = getattr(self, what)
            if twice := [value for value in values if values.count(value) > 1]:
                raise InputError(f"{twice[0]} twice among the {what} (must differ)")
        if self.frames is not None and self.frames < 1:
            raise InputError(f"{self.frames} frames (allowed: at least 1)")
        WorkingSize.parse(self.working)
        for name, crf in itertools.product(self.encoders, self.crfs):
            find_encoder(name).options(Settings(crf=crf, preset=self.preset))
        for strength in self.strengths:
            Strength(strength)


def sweep(
    clips: Sequence[ClipPair],
    plan: SweepPlan,
    executor: Callable[[], Executor],
    store: Store | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """One row per clip, encoder, arm, strength and CRF: bytes, kbit/s and `metrics_of`; strength is NaN for plain.

    Raises `HarnessError` when an encoder does not follow a map: in its probe, or by the very stream of the plain arm.
    """
    if not clips:
        raise InputError("no clips to sweep")
    for encoder in plan.encoders:
        probe(find_encoder(encoder), Settings(crf=plan.crfs[0], preset=plan.preset))
    jobs = [job for clip, other in zip(clips, [*clips[1:], clips[0]], strict=True) for job in _jobs(clip, other, plan)]
    results = run_jobs(jobs, executor, store, progress)
    rows: pd.DataFrame = pd.DataFrame(row for result in results for row in result)
    _refuse_ignored_maps(rows)
    return rows.rename(columns=dict(zip(METRICS, metrics_of(plan.region), strict=True)))


def _refuse_ignored_maps(rows: pd.DataFrame) -> None:
    where = ["clip", "encoder", "crf"]
    plain = rows[rows["arm"] == PLAIN][[*where, "stream_sha256"]]
    steered = rows[rows["steered"]].merge(plain, on=where, suffixes=("", "_plain"))
    steered["same"] = steered["stream_sha256"] == steered["stream_sha256_plain"]
    for (clip, encoder, arm, _), same in steered.groupby(["clip", "encoder", "arm", "strength"], sort=False)["same"]:
        if same.all():
            raise HarnessError(f"{encoder} ignored the map: {arm} on {clip} gave the plain streams")


def metrics_of(region: str) -> tuple[str, ...]:
    """`METRICS`, weighed by a region of this name.

    >>> metrics_of("reference")[:2]
    ('psnr_y@reference', 'ssim_y@reference')
    """
    return tuple(metric.replace(f"@{MASK}", f"@{region}") for metric in METRICS)


def _jobs(clip: ClipPair, other: ClipPair, plan: SweepPlan) -> Iterator[Job]:
    inputs = {"clip": clip_digest(clip)}
    arms: list[tuple[str, dict[str, str], dict[str, str]]] = [
        (source.name, {"model": str(source.path), "sha256": source.digest}, {}) for source in models_of(plan)
    ]
    arms += [(CENTRE_PRIOR, {}, {}), (ORACLE, {}, {})]
    if other is not clip and arms:
        arms.append((SHUFFLED, {**arms[0][1], "other": str(other.frames)}, {"other": clip_digest(other)}))
    for encoder in plan.encoders:
        common = {
            "name": clip.name,
            "frames": str(clip.frames),
            "masks": str(clip.masks),
            "encoder": encoder,
            "crfs": list(plan.crfs),
            "preset": plan.preset,
            "working": plan.working,
            "limit": plan.frames,
        }
        yield Job(measure_arm, {**common, "arm": PLAIN, "strength": None}, inputs)
        for strength, (arm, more, read) in itertools.product(plan.strengths, arms):
            yield Job(measure_arm, {**common, "arm": arm, "strength": strength, **more}, {**inputs, **read})


def models_of(plan: SweepPlan) -> list[ModelSource]:
    """The plan's models; `InputError` for what is none, and for two that tables could not tell apart."""
    found = [(name, map_source(name)) for name in plan.models]
    models = [source for _, source in found if isinstance(source, ModelSource)]
    if len(models) < len(found):
        name = next(name for name, source in found if not isinstance(source, ModelSource))
        raise InputError(f"{name} is no model (it has an arm of its own in every sweep)")
    names = [model.name for model in models]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"two models are called {twice[0]} (must differ: tables name arms by it)")
    return models


def measure_arm(
    name: str,
    frames: str,
    masks: str,
    encoder: str,
    crfs: list[float],
    preset: str | None,
    working: str,
    limit: int | None,
    arm: str,
    strength: float | None,
    model: str | None = None,
    sha256: str | None = None,
    other: str | None = None,
) -> list[dict[str, Any]]:
    """Encode one clip at all CRFs with one arm's maps, and measure each encode against the clip and its masks."""
    clip, able = _Cut(open_clip(Path(frames)), limit), find_encoder(encoder)
    pictures = list(clip)
    info = replace(clip.info, frames=len(pictures))
    truth = [read_mask(path, size=(info.height, info.width)) for path in images_in(Path(masks))[: len(pictures)]]
    if len(truth) != len(pictures):
        raise InputError(f"{masks}: {len(truth)} masks for {len(pictures)} frames (must be equal)")
    if strength is None:
        planned: list[Any] = [(frame, None) for frame in pictures]
    else:
        source = _source(arm, truth, model, sha256, other)
        mapper = source.open(threads=1)
        steps = plans_of(clip, mapper, WorkingSize.parse(working), Strength(strength), able)  # type: ignore[arg-type]
        planned = [(frame, plan) for frame, (_, plan) in zip(pictures, steps, strict=True)]
    rows = []
    with tempfile.TemporaryDirectory(prefix="harness-sweep-") as scratch:
        reference = Path(scratch, "reference.y4m")
        write_y4m_with_offsets(info, ((frame, None) for frame in pictures), reference)
        for crf in crfs:
            out = Path(scratch, f"{crf:g}.mkv")
            encoded = encode(info, planned, able, Settings(crf=crf, preset=preset), out)
            row: dict[str, Any] = {"clip": name, "encoder": encoder, "arm": arm, "strength": strength, "crf": crf}
            row |= {"frames": len(pictures), "bytes": encoded.bytes, "stream_sha256": stream_digest(out)}
            row["steered"] = any(plan is not None and np.abs(plan.offsets).max() >= SURE_QP for _, plan in planned)
            row["kbps"] = encoded.bytes * 8 / 1000 / float(len(pictures) / info.frame_rate)
            rows.append(row | _qualities(pictures, truth, info, reference, out, Path(scratch, "region.y4m")))
    return rows


def _qualities(
    pictures: list[Frame], truth: list[np.ndarray], info: Any, reference: Path, out: Path, region: Path
) -> dict[str, float | None]:
    everywhere, inside = WeightedSums(), WeightedSums()
    decoded = list(open_clip(out))
    for picture, other, mask in zip(pictures, decoded, truth, strict=True):
        sums = weighted_sums(picture, other, [np.ones(mask.shape, np.float32), mask.astype(np.float32)])
        everywhere, inside = everywhere + sums[0], inside + sums[1]
    blended = (
        (replace(region_of(picture, other, mask), index=picture.index), None)
        for picture, other, mask in zip(pictures, decoded, truth, strict=True)
    )
    write_y4m_with_offsets(info, blended, region)
    whole = _libvmaf(reference, out, len(pictures), info.frame_rate, ("xpsnr",))
    return {
        "psnr_y@mask": inside.psnr,
        "ssim_y@mask": inside.ssim,
        "vmaf@mask": _libvmaf(reference, region, len(pictures), info.frame_rate, ())["vmaf"],
        "psnr_y": everywhere.psnr,
        "ssim_y": everywhere.ssim,
        "vmaf": whole["vmaf"],
        "xpsnr_y": whole["xpsnr_y"],
    }


def _libvmaf(reference: Path, distorted: Path, count: int, rate: Fraction, metrics: Sequence[str]) -> dict[str, float]:
    paired = PairedInput(Input(reference), Input(distorted), 0, 0, count, rate)
    log = measure(find_ffmpeg(), paired, metrics=metrics, threads=1)
    return {metric: float(log.column(metric).mean()) for metric in log.metrics}


def _source(arm: str, truth: list[np.ndarray], model: str | None, sha256: str | None, other: str | None) -> MapSource:
    if arm == ORACLE:
        return _Masks(truth)
    if arm == CENTRE_PRIOR:
        return CentrePrior()
    assert model is not None and sha256 is not None
    source = ModelSource(arm, ModelFile.known(arm, model, sha256))
    return _Elsewhere(source, Path(other)) if arm == SHUFFLED and other else source


class _Cut:
    """The first frames of a clip."""

    def __init__(self, clip: Clip, limit: int | None) -> None:
        self.info, self._clip, self._limit = clip.info, clip, limit

    def __iter__(self) -> Iterator[Frame]:
        return itertools.islice(self._clip, self._limit)


@dataclass(frozen=True)
class _Masks:
    """Human masks as maps, by frame number."""

    masks: list[np.ndarray]
    name: str = ORACLE
    digest: str = ""
    sees: bool = False

    def open(self, threads: int) -> Callable[[str, np.ndarray, WorkingSize], np.ndarray]:
        return lambda name, rgb, working: self.masks[int(name)].astype(np.float32)


@dataclass(frozen=True)
class _Elsewhere:
    """A model's maps of another clip: right in every statistic, wrong in every place."""

    source: ModelSource
    clip: Path
    name: str = SHUFFLED
    digest: str = ""
    sees: bool = False

    def open(self, threads: int) -> Callable[[str, np.ndarray, WorkingSize], np.ndarray]:
        mapper = self.source.open(threads)
        pictures = itertools.chain.from_iterable(iter(open_clip(self.clip)) for _ in itertools.count())

        def elsewhere(name: str, rgb: np.ndarray, working: WorkingSize) -> np.ndarray:
            return mapper(name, true_rgb(next(pictures), (rgb.shape[0], rgb.shape[1])), working)

        return elsewhere


def bd_rates(rows: pd.DataFrame) -> pd.DataFrame:
    """BD-rate in per cent against the plain encode: a row per clip, encoder, arm, strength and metric.

    Where it is undefined, `bd_rate` is NaN and `reason` says why.
    """
    found = []
    metrics = [name for name in rows if str(name).partition("@")[0] in {metric.partition("@")[0] for metric in METRICS}]
    steered = rows[rows["arm"] != PLAIN]
    for (clip, encoder, arm, strength), test in steered.groupby(["clip", "encoder", "arm", "strength"], sort=False):
        anchor = rows[(rows["clip"] == clip) & (rows["encoder"] == encoder) & (rows["arm"] == PLAIN)]
        for metric in metrics:
            value, reason = float("nan"), ""
            try:
                value = bd_rate(
                    anchor["kbps"].tolist(), anchor[metric].tolist(), test["kbps"].tolist(), test[metric].tolist()
                )
            except InconclusiveError as error:
                reason = str(error)
            found.append(
                {"clip": clip, "encoder": encoder, "arm": arm, "strength": strength, "metric": metric}
                | {"bd_rate": value, "reason": reason}
            )
    return pd.DataFrame(found)


def summary(rates: pd.DataFrame) -> pd.DataFrame:
    """Mean BD-rate over clips with 95 % bounds, and the paired difference to the centre prior's.

    Clips whose BD-rate is undefined are left out and counted in `undefined`; a difference below 0 beats the prior.
    """
    found = []
    for (encoder, strength, metric, arm), group in rates.groupby(["encoder", "strength", "metric", "arm"], sort=False):
        values = group.set_index("clip")["bd_rate"].dropna()
        prior = rates[
            (rates["encoder"] == encoder)
            & (rates["strength"] == strength)
            & (rates["metric"] == metric)
            & (rates["arm"] == CENTRE_PRIOR)
        ].set_index("clip")["bd_rate"]
        row: dict[str, Any] = {"encoder": encoder, "strength": strength, "metric": metric, "arm": arm}
        row |= {"clips": len(values), "undefined": len(group) - len(values)}
        if len(values):
            row["bd_rate_%"] = values.mean()
            mean = stats.mean_of(values.to_numpy())
            row |= {"low": mean.low, "high": mean.high}
        both = values.index.intersection(prior.dropna().index)
        if arm != CENTRE_PRIOR and len(both):
            difference = stats.paired(
                prior[both].to_numpy(), values[both].to_numpy(), higher_is_better=False
            ).difference
            row |= {"vs_centre_prior": difference.value, "vs_low": difference.low, "vs_high": difference.high}
            row["vs_p"] = difference.p_value
        found.append(row)
    return pd.DataFrame(found)
