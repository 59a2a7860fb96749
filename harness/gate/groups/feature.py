"""Does the candidate's `saliency_mean` follow the content, and does compression leave it alone?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from corpora.loader import ClipPair, clip_digest
from harness.errors import HarnessError
from harness.gate.context import Context
from harness.gate.data import clips_of
from harness.gate.evidence import Evidence
from harness.gate.intervals import exactly, mean_of, spread_of
from harness.gate.rules import PARITY
from harness.gate.verdict import Measurement
from harness.media.encode import encode_frames
from harness.media.ffmpeg import find_ffmpeg
from harness.media.frames import ClipInfo, Frame
from harness.media.open import open_clip
from harness.models.session import SaliencyModel
from harness.quality.native import COLUMN, choose
from harness.saliency.feature import extract
from harness.stats import pearson
from harness.studies.score.pair import ScorePlan, score

GROUP = "feature"
EVERY = 4  # frames of a clip that are read: neighbours say nearly the same
ENCODER: Literal["libx264"] = "libx264"
PRESET = "medium"


def inputs(context: Context) -> dict[str, str]:
    """A digest of the clips and their masks, and which native extractor is here, or why none is."""
    return _inputs(context, *_native(context))


def _inputs(context: Context, native: str | None, reason: str) -> dict[str, str]:
    return {context.profile.clips: clip_digest(*clips_of(context)), "native mobilesal": native or f"none: {reason}"}


def gather(context: Context) -> Evidence:
    """Spread over clips, drift from each clip to its encodes, correlation with the incumbent, native parity."""
    clips = clips_of(context)
    models = [side.load() for side in context.pair]
    crfs = context.policy.feature.crf
    means = np.empty((len(clips), 1 + len(crfs), 2))  # clip, itself and its encodes, model
    for index, clip in enumerate(clips):
        context.announce(f"feature: {clip.name} ({index + 1} of {len(clips)})")
        means[index] = _clip_means(clip, models, context)
    found, rows = _measurements(means, context), []
    for clip, values in zip(clips, means, strict=True):
        for label, (old, new) in zip(("reference", *(f"crf {crf}" for crf in crfs)), values, strict=True):
            rows.append({"clip": clip.name, "version": label, "incumbent": float(old), "candidate": float(new)})
    missing, unavailable = {}, {}
    native, reason = _native(context)
    if native is None:
        unavailable[PARITY] = f"no native mobilesal here ({reason})"
    else:
        try:
            found.append(_parity(clips[0], models[1], native, context))
        except HarnessError as error:
            missing[PARITY] = f"{native} on the candidate: {error}"
    tables = {"saliency_mean": rows}
    return Evidence(
        GROUP, tuple(found), missing, _inputs(context, native, reason), tables=tables, unavailable=unavailable
    )


def _clip_means(clip: ClipPair, models: list[SaliencyModel], context: Context) -> np.ndarray:
    """Mean `saliency_mean` over the frames read, of the clip and of each encode of it: `[1 + crfs, models]`."""
    source, count = open_clip(clip.frames), context.profile.frames
    found = [_mean(islice(source, 0, count, EVERY), models)]
    with tempfile.TemporaryDirectory(prefix="harness-gate-") as scratch:
        for crf in context.policy.feature.crf:
            path = Path(scratch, f"{crf}.mkv")
            _encode(islice(source, count), source.info, path, crf)
            found.append(_mean(islice(open_clip(path), 0, count, EVERY), models))
    return np.array(found)


def _native(context: Context) -> tuple[str | None, str]:
    """The name of a native extractor that runs the incumbent, or None, and why; the candidate has no say in it."""
    extractor, reason = choose("auto", find_ffmpeg(), context.incumbent.file.path)
    return (extractor.name if extractor else None), reason


def _parity(clip: ClipPair, model: SaliencyModel, native: str, context: Context) -> Measurement:
    """The largest difference of `saliency_mean` between native and embedded extractor on an encode's frames."""
    with tempfile.TemporaryDirectory(prefix="harness-gate-") as scratch:
        path = Path(scratch, "clip.mkv")
        source = open_clip(clip.frames)
        _encode(islice(source, context.profile.frames), source.info, path, context.policy.feature.crf[0])
        encode = open_clip(path)
        native_means, embedded_means = (
            score(encode, encode, [model], ScorePlan(vmaf_models=(), metrics=("psnr",), backend=name)).log.column(
                COLUMN
            )
            for name in (native, "embedded")
        )
    difference = np.abs(native_means - embedded_means)
    return exactly(PARITY, difference.max(), f"{native} on {clip.name}", count=len(difference))


def _mean(frames: Iterable[Frame], models: list[SaliencyModel]) -> np.ndarray:
    return np.array([sample.means for sample in extract(frames, models)]).mean(axis=0)


def _encode(frames: Iterable[Frame], info: ClipInfo, path: Path, crf: int) -> None:
    encode_frames(path, frames, info, ENCODER, {"crf": str(crf), "preset": PRESET})


def _measurements(means: np.ndarray, context: Context) -> list[Measurement]:
    """From `[clips, versions, models]`; drift is relative to the clip itself, and a clip's encodes are averaged."""
    how, clean = context.policy.statistics, means[:, 0]
    drift = np.abs(means[:, 1:] / np.maximum(clean[:, None], 1e-6) - 1).mean(axis=1)
    spread = spread_of("feature.spread", clean[:, 1], how)
    found = [
        spread,
        mean_of("feature.drift", drift[:, 1], how, note=f"the incumbent drifts by {drift[:, 0].mean():.3f}"),
        mean_of("feature.drift_excess", drift[:, 1] - drift[:, 0], how),
    ]
    plcc = pearson(clean[:, 0], clean[:, 1])
    if plcc is not None:
        found.append(Measurement("feature.plcc_incumbent", plcc, count=len(clean), note="over clips; reported only"))
    return found
