"""A ladder of encodes over a clip set: encode, score, and say how `saliency_mean` behaves along it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from corpora.loader import ClipPair, clip_digest, images_in
from harness.errors import HarnessError, InputError
from harness.files import sha256_of
from harness.jobs import Job, Store, run_jobs
from harness.media.ffmpeg import find_ffmpeg
from harness.media.frames import open_clip
from harness.media.x264 import steady_words
from harness.media.y4m import write_y4m
from harness.models.registry import ModelFile
from harness.models.session import SaliencyModel
from harness.quality.libvmaf import check_measures
from harness.roi.encoders import ENCODERS, Settings
from harness.saliency.feature import extract
from harness.saliency.flicker import changes
from harness.stats import FEWEST, Interval, bootstrap_mean, pearson_by_group, spearman
from harness.studies.score.pair import Plan, check_names, saliency_columns, score
from harness.tables import Table

MASK_THRESHOLD = 127


@dataclass(frozen=True)
class Ladder:
    """Which encodes to make of every clip, and how to score them. `fps` is the rate of clips kept as folders."""

    encoder: str = "libx264"
    preset: str | None = "medium"
    crfs: tuple[int, ...] = (22, 27, 32, 37)
    fps: str = "24"
    every: int = 1
    vmaf_models: tuple[str, ...] = ("vmaf_v0.6.1",)
    metrics: tuple[str, ...] = ("psnr", "ssim", "xpsnr")


@dataclass(frozen=True)
class LadderRows:
    """Tidy rows: `encodes` one per clip, encode and frame; `references` one per clip and frame of the source."""

    encodes: pd.DataFrame
    references: pd.DataFrame
    models: tuple[str, ...]


def run_ladder(
    clips: Sequence[ClipPair],
    models: Sequence[ModelFile],
    ladder: Ladder,
    executor: Callable[[], Executor],
    store: Store | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LadderRows:
    """Encode and score every clip at every CRF as content-hashed jobs; what `store` holds is not computed again.

    Raises `InputError` before any work when FFmpeg's encoder does not take the preset and every CRF, libvmaf does not
    know a model or a metric, or a name repeats.
    """
    check_measures(find_ffmpeg(), ladder.vmaf_models, ladder.metrics)
    _check_encodes(ladder)
    names = [model.name for model in models]
    if not names:
        raise InputError("no model to score with (allowed: one or more)")
    check_names(names)
    chosen = [(model.name, str(model.path)) for model in models]
    weights = {model.name: sha256_of(model.path) for model in models}
    jobs = []
    for clip in clips:
        inputs = {"clip": clip_digest(clip), "ffmpeg": find_ffmpeg().version, **weights}
        place = {"name": clip.name, "frames": str(clip.frames), "models": chosen, "fps": ladder.fps}
        jobs.append(Job(reference_rows, {**place, "masks": str(clip.masks)}, inputs))
        settings = {key: value for key, value in asdict(ladder).items() if key not in ("crfs", "fps")}
        jobs += [Job(encode_rows, {**place, **settings, "crf": crf}, inputs) for crf in ladder.crfs]
    found = run_jobs(jobs, executor, store, progress)
    step = 1 + len(ladder.crfs)
    references = [row for place, rows in enumerate(found) if place % step == 0 for row in rows]
    encodes = [row for place, rows in enumerate(found) if place % step for row in rows]
    return LadderRows(pd.DataFrame(encodes), pd.DataFrame(references), tuple(names))


def reference_rows(name: str, frames: str, models: list[list[str]], fps: str, masks: str) -> list[dict[str, Any]]:
    """Per frame of the source: each model's mean, the true foreground share, and the change since the last frame."""
    loaded = _load(models)
    clip = open_clip(frames, fps=fps if Path(frames).is_dir() else None)
    truth = [_read_mask(path) for path in images_in(Path(masks))]
    rows: list[dict[str, Any]] = []
    maps: list[list[np.ndarray]] = [[] for _ in loaded]
    for sample in extract(clip, loaded):
        index = len(rows)
        if index >= len(truth):
            raise InputError(f"{masks}: {len(truth)} masks for more frames than that in {frames}")
        row: dict[str, Any] = {"clip": name, "frame": index, "foreground_share": float(truth[index].mean())}
        for model, mean, values, held in zip(loaded, sample.means, sample.maps, maps, strict=True):
            row[f"saliency_mean@{model.name}"] = mean
            held.append(values)
            if index:
                (change,) = changes(held, truth[index - 1 : index + 1])
                held.pop(0)
                row["mask_change"] = change.mask
                row[f"map_change@{model.name}"] = change.map
                row[f"still_change@{model.name}"] = change.still
        rows.append(row)
    return rows


def encode_rows(
    name: str,
    frames: str,
    models: list[list[str]],
    fps: str,
    encoder: str,
    preset: str | None,
    crf: int,
    every: int,
    vmaf_models: Sequence[str],
    metrics: Sequence[str],
) -> list[dict[str, Any]]:
    """Encode one clip at one CRF, score it, and return its frames as rows; the encode is not kept."""
    loaded = _load(models)
    with tempfile.TemporaryDirectory(prefix="harness-ladder-") as scratch:
        source = open_clip(frames, fps=fps if Path(frames).is_dir() else None)
        if Path(frames).is_dir():
            lossless = Path(scratch, "source.y4m")
            write_y4m(lossless, source, source.info.frame_rate)
            source = open_clip(lossless)
        encoded = Path(scratch, "encode.mkv")
        _encode(["-i", str(source.info.path)], encoder, preset, crf, encoded)
        plan = Plan(vmaf_models=tuple(vmaf_models), metrics=tuple(metrics), backend="embedded", every=every)
        result = score(source, open_clip(encoded), loaded, plan)
        seconds = result.provenance["pairs"] / float(source.info.frame_rate)
        encode = {"clip": name, "encoder": encoder, "crf": crf, "kbps": encoded.stat().st_size * 8 / seconds / 1000}
    columns = saliency_columns(loaded)
    renamed = {column: f"saliency_mean@{model.name}" for column, model in zip(columns, loaded, strict=True)}
    return [
        {**encode, "frame": number, **{renamed.get(key, key): value for key, value in scores.items() if _kept(key)}}
        for number, scores in result.log.frames.items()
    ]


def _check_encodes(ladder: Ladder) -> None:
    """`InputError` unless the encoder takes each CRF once, tried on two grey frames."""
    ffmpeg, known = find_ffmpeg(), ENCODERS.get(ladder.encoder)
    ffmpeg.require(encoder=ladder.encoder)
    grey = ["-f", "lavfi", "-i", "color=gray:size=256x144:rate=25:duration=0.08,format=yuv420p"]
    with tempfile.TemporaryDirectory(prefix="harness-ladder-") as scratch:
        for crf in ladder.crfs:
            if ladder.crfs.count(crf) > 1:
                raise InputError(f"CRF {crf} is given twice (allowed: each once)")
            if known and known.route != "none":  # x264 takes any CRF and encodes at its own last one
                known.options(Settings(crf=crf, preset=ladder.preset))
            try:
                _encode(grey, ladder.encoder, ladder.preset, crf, Path(scratch, "probe.mkv"))
            except HarnessError as error:
                raise InputError(f"{ladder.encoder} at CRF {crf}, preset {ladder.preset}: {error}") from error


def _encode(feed: list[str], encoder: str, preset: str | None, crf: int, out: Path) -> None:
    speed = ["-preset", preset] if preset else []
    said = find_ffmpeg().run(
        [*feed, "-map", "0:v:0", "-c:v", encoder, *speed, "-crf", str(crf), *steady_words(encoder), out]
    )
    unused = re.search(r"AVOption (\S+) .*has not been used for any stream", said)
    if unused:
        raise InputError(
            f"{encoder} has no option {unused[1]} (allowed: encoders with a CRF; --preset '' for no preset)"
        )


def _kept(metric: str) -> bool:
    return metric.startswith(("vmaf", "psnr", "float_", "xpsnr", "saliency_mean"))


def _load(models: list[list[str]]) -> list[SaliencyModel]:
    return [SaliencyModel.load(Path(path), name) for name, path in models]


def _read_mask(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L")) > MASK_THRESHOLD


# Tables --------------------------------------------------------------------------------------------------------------


def tables(rows: LadderRows, command: str, inputs: dict[str, Any], notes: tuple[str, ...] = ()) -> list[Table]:
    """The findings as tables, those that have any; every interval is a bootstrap over clips."""
    clips, bound = rows.encodes["clip"].nunique(), "PLCC with 95 % bootstrap bounds over clips; SROCC beside it."
    frames = f"{clips} clips, {len(rows.encodes)} frames of encodes, {len(rows.references)} frames of sources."
    if clips < FEWEST:
        notes = (f"No bounds: {clips} of the {FEWEST} clips or more that they need.", *notes)
    kinds = [
        ("models", "saliency_mean of one model against another, on the encodes", model_agreement(rows)),
        ("vmaf", "saliency_mean against VMAF over the ladder", quality_agreement(rows)),
        ("stability", "saliency_mean on the source against the same frame encoded", stability(rows)),
        ("foreground", "saliency_mean on the source against the true share of foreground", foreground(rows)),
        ("flicker", "change of the map from frame to frame, beside the motion of the mask", flicker(rows)),
    ]
    notes = (frames, bound, *notes)
    return [Table(name, title, found, command, inputs, notes) for name, title, found in kinds if len(found)]


def model_agreement(rows: LadderRows) -> pd.DataFrame:
    """Every two models: correlation of their means over all encoded frames."""
    found = [
        {"model": one, "against": two, **_correlation(rows.encodes, _mean_of(one), _mean_of(two))}
        for one, two in combinations(rows.models, 2)
    ]
    return pd.DataFrame(found, columns=["model", "against", "plcc", "plcc_low", "plcc_high", "srocc", "frames"])


def quality_agreement(rows: LadderRows) -> pd.DataFrame:
    """Each model and VMAF column, over all frames, and within clips (each clip's own mean taken out first)."""
    vmafs = [name for name in rows.encodes.columns if name.startswith("vmaf")]
    found = []
    for model in rows.models:
        for vmaf in vmafs:
            pairs = rows.encodes[["clip", _mean_of(model), vmaf]]
            centred = pairs.copy()
            values = [_mean_of(model), vmaf]
            centred[values] -= pairs.groupby("clip")[values].transform("mean")
            for scope, chosen in (("all frames", pairs), ("within clips", centred)):
                found.append({"model": model, "against": vmaf, "scope": scope, **_correlation(chosen, *values)})
    return pd.DataFrame(found)


def stability(rows: LadderRows) -> pd.DataFrame:
    """Per model and CRF: correlation with the source's value, and the mean relative drift from it."""
    found = []
    for model in rows.models:
        column = _mean_of(model)
        source = rows.references[["clip", "frame", column]].rename(columns={column: "source"})
        joined = rows.encodes[["clip", "crf", "frame", column]].merge(source, on=["clip", "frame"])
        joined["drift"] = (joined[column] - joined["source"]).abs() / joined["source"]
        joined["shift"] = (joined[column] - joined["source"]) / joined["source"]
        for crf, part in joined.groupby("crf"):
            drift = _mean_over_clips(part.groupby("clip")["drift"].mean().to_numpy())
            found.append(
                {
                    "model": model,
                    "crf": crf,
                    **_correlation(part, column, "source"),
                    **_bounds("relative_drift", drift),
                    "relative_shift": float(part.groupby("clip")["shift"].mean().mean()),
                }
            )
    return pd.DataFrame(found)


def foreground(rows: LadderRows) -> pd.DataFrame:
    """Each model's mean on the source against the share of pixels inside the true mask."""
    found = []
    for model in rows.models:
        means, share = rows.references[_mean_of(model)], rows.references["foreground_share"]
        correlation = _correlation(rows.references, _mean_of(model), "foreground_share")
        found.append({"model": model, **correlation, "saliency_mean": means.mean(), "foreground_share": share.mean()})
    return pd.DataFrame(found)


def flicker(rows: LadderRows) -> pd.DataFrame:
    """Per model and clip, and over clips: mean change a frame of map, mask, and map where the mask stands still."""
    found = []
    for model in rows.models:
        columns = {"map_change": f"map_change@{model}", "still_change": f"still_change@{model}"}
        per_clip = rows.references.groupby("clip")[[*columns.values(), "mask_change"]].mean()
        for clip, values in per_clip.iterrows():
            found.append({"model": model, "clip": clip, **_changes(values, columns)})
        found.append({"model": model, "clip": "mean of clips", **_changes(per_clip.mean(), columns)})
    return pd.DataFrame(found)


def _changes(values: pd.Series, columns: dict[str, str]) -> dict[str, float]:
    change, mask = float(values[columns["map_change"]]), float(values["mask_change"])
    still = float(values[columns["still_change"]])
    ratio = change / mask if mask else float("nan")
    return {"map_change": change, "mask_change": mask, "map_to_mask": ratio, "still_change": still}


def _mean_of(model: str) -> str:
    return f"saliency_mean@{model}"


def _correlation(rows: pd.DataFrame, first: str, second: str) -> dict[str, Any]:
    one, two = rows[first].to_numpy(), rows[second].to_numpy()
    found = pearson_by_group(one, two, rows["clip"].to_numpy())
    return {**_bounds("plcc", found), "srocc": spearman(one, two), "frames": len(rows)}


def _mean_over_clips(values: np.ndarray) -> Interval:
    if len(values) < FEWEST:
        return Interval(float(values.mean()), float("nan"), float("nan"))
    return bootstrap_mean(values)


def _bounds(name: str, found: Interval | None) -> dict[str, float | None]:
    if found is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
