"""A ladder of encodes over a clip set: encode every clip at every CRF and score it, as jobs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np
import pandas as pd

from corpora.loader import ClipPair, clip_digest, images_in
from harness.errors import HarnessError, InputError
from harness.files import scratch_folder
from harness.jobs import Job, LeftOut, Store, run_groups
from harness.media.encode import encoder_options
from harness.media.ffmpeg import Stream, arguments, find_ffmpeg, url
from harness.media.open import Clip, open_clip
from harness.media.pairing import as_input
from harness.media.pictures import read_mask
from harness.media.upright import upright
from harness.media.y4m import write_y4m
from harness.models.model_file import ModelFile
from harness.models.session import SaliencyModel, load_model
from harness.quality.libvmaf import check_measures
from harness.roi.encoders import ENCODERS, Settings
from harness.saliency.feature import extract
from harness.saliency.flicker import changes
from harness.studies.score.pair import ScorePlan, check_names, saliency_columns, score


@dataclass(frozen=True)
class LadderPlan:
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
    """Tidy rows: `encodes` one per clip, encode and frame; `references` one per clip and frame of the source.

    `weights` holds each model's SHA-256, `data` each clip's digest, `left_out` why a clip has no rows.
    """

    encodes: pd.DataFrame
    references: pd.DataFrame
    models: tuple[str, ...]
    ladder: LadderPlan = LadderPlan()
    weights: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


def run_ladder(
    clips: Sequence[ClipPair],
    models: Sequence[ModelFile],
    ladder: LadderPlan,
    executor: Callable[[], Executor],
    store: Store | None = None,
    progress: Callable[[int, int], None] | None = None,
    failed: Callable[[str, str], None] | None = None,
) -> LadderRows:
    """Encode and score every clip at every CRF as content-hashed jobs; what `store` holds is not computed again.

    Raises `InputError` before any work when a model does not load, FFmpeg's encoder does not take the preset and every
    CRF, libvmaf does not know a VMAF model or a metric, or a name repeats. A clip that fails ends the run, unless
    `failed` hears its name and why: then it has no rows.
    """
    names = check_ladder(models, ladder)
    weights = {model.name: load_model(model).sha256 for model in models}
    loaded = [(_slot(place), str(model.path.absolute()), model.sha256) for place, model in enumerate(models)]
    shas = {slot: sha256 for slot, _, sha256 in loaded}
    jobs = []
    for clip in clips:
        inputs = {"clip": clip_digest(clip), "ffmpeg": find_ffmpeg().version, **shas}
        named, lies = {"name": clip.name, "fps": ladder.fps}, {"frames": str(clip.frames.absolute()), "models": loaded}
        jobs.append(Job(reference_rows, named, inputs, {**lies, "masks": str(clip.masks.absolute())}))
        settings = {key: value for key, value in asdict(ladder).items() if key not in ("crfs", "fps")}
        jobs += [Job(encode_rows, {**named, **settings, "crf": crf}, inputs, lies) for crf in ladder.crfs]
    left_out = LeftOut(failed)
    found = run_groups(jobs, executor, store, progress, left_out.hear)
    references = [row for source, *_ in found.values() for row in _with_names(source, names)]
    encodes = [row for _, *encoded in found.values() for rows in encoded for row in _with_names(rows, names)]
    data = {clip.name: clip_digest(clip) for clip in clips if clip.name in found}
    return LadderRows(pd.DataFrame(encodes), pd.DataFrame(references), tuple(names), ladder, weights, data, left_out)


def check_ladder(models: Sequence[ModelFile], ladder: LadderPlan) -> list[str]:
    """The models' names; `InputError` for settings that an encoder or libvmaf does not take, or two of one name."""
    check_measures(find_ffmpeg(), ladder.vmaf_models, ladder.metrics)
    _check_encodes(ladder)
    names = [model.name for model in models]
    if not names:
        raise InputError("no model to score with (allowed: one or more)")
    check_names(names)
    return names


def _slot(place: int) -> str:
    """What a job calls a model: by what name tables call it decides no number."""
    return f"model {place}"


def _with_names(rows: list[dict[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    called = {_slot(place): name for place, name in enumerate(names)}

    def column(key: str) -> str:
        what, at, slot = key.partition("@")
        return f"{what}{at}{called.get(slot, slot)}"

    return [{column(key): value for key, value in row.items()} for row in rows]


def reference_rows(name: str, frames: str, models: list[list[str]], fps: str, masks: str) -> list[dict[str, Any]]:
    """Per frame of the source: each model's mean, the true foreground share, and the change since the last frame."""
    loaded = _load(models)
    clip = open_clip(frames, fps=fps if Path(frames).is_dir() else None)
    truth = [read_mask(path) for path in images_in(Path(masks))]
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
    with scratch_folder() as scratch:
        source = open_clip(frames, fps=fps if Path(frames).is_dir() else None)
        if Path(frames).is_dir():
            lossless = Path(scratch, "source.y4m")
            info = source.info
            write_y4m(lossless, source, info.frame_rate, pixel_shape=info.pixel_shape, siting=info.siting)
            source = open_clip(lossless)
        encoded = Path(scratch, "encode.mkv")
        _encode(video_of(_upright(source)), encoder, preset, crf, encoded)
        plan = ScorePlan(vmaf_models=tuple(vmaf_models), metrics=tuple(metrics), backend="embedded", every=every)
        result = score(source, open_clip(encoded), loaded, plan)
        seconds = result.provenance["pairs"] / float(source.info.frame_rate)
        encode = {"clip": name, "encoder": encoder, "crf": crf, "kbps": encoded.stat().st_size * 8 / seconds / 1000}
    columns = saliency_columns(loaded)
    renamed = {column: f"saliency_mean@{model.name}" for column, model in zip(columns, loaded, strict=True)}
    return [
        {**encode, "frame": number, **{renamed.get(key, key): value for key, value in scores.items() if _kept(key)}}
        for number, scores in result.log.frames.items()
    ]


def video_of(shown: Clip) -> Stream:
    """A clip as FFmpeg is to encode it: the stream that is shown, cropped and turned as players show it."""
    return as_input(shown, None).video()


def _upright(source: Clip) -> Clip:
    """The clip as its first frame says that it is shown; what counts its frames says nothing of that."""
    first = None if source.info.counted else next(iter(source), None)
    return upright(source, first.turn if first else 0)


def _check_encodes(ladder: LadderPlan) -> None:
    """`InputError` unless the encoder takes each CRF once, tried on two grey frames."""
    known = ENCODERS.get(ladder.encoder)
    find_ffmpeg().require(encoder=ladder.encoder)
    source = ffmpeg.input("color=gray:size=256x144:rate=25:duration=0.08", f="lavfi")
    grey = source.filter("format", pix_fmts="yuv420p")
    with scratch_folder() as scratch:
        for crf in ladder.crfs:
            if ladder.crfs.count(crf) > 1:
                raise InputError(f"CRF {crf} is given twice (allowed: each once)")
            if known and known.route != "none":  # x264 takes any CRF and encodes at its own last one
                known.options(Settings(crf=crf, preset=ladder.preset))
            try:
                _encode(grey, ladder.encoder, ladder.preset, crf, Path(scratch, "probe.mkv"))
            except HarnessError as error:
                raise InputError(f"{ladder.encoder} at CRF {crf}, preset {ladder.preset}: {error}") from error


def _encode(video: Stream, encoder: str, preset: str | None, crf: int, out: Path) -> None:
    """By the program and not by PyAV: a ladder takes any encoder with a CRF, and PyAV's FFmpeg lacks many of them."""
    said = find_ffmpeg().run(encode_words(video, encoder, preset, crf, out))
    unused = re.search(r"AVOption (\S+) .*has not been used for any stream", said)
    if unused:
        raise InputError(
            f"{encoder} has no option {unused[1]} (allowed: encoders with a CRF; --preset '' for no preset)"
        )


def encode_words(video: Stream, encoder: str, preset: str | None, crf: int, out: Path) -> list[str]:
    """FFmpeg's arguments for one encode of a ladder."""
    options = {"crf": str(crf), **({"preset": preset} if preset else {})}
    return arguments(video.output(url(out), **{"c:v": encoder, **encoder_options(encoder, options)}))


def _kept(metric: str) -> bool:
    return metric.startswith(("vmaf", "psnr", "float_", "xpsnr", "saliency_mean"))


def _load(models: list[list[str]]) -> list[SaliencyModel]:
    return [load_model(ModelFile.known(*model)) for model in models]
