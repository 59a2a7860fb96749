"""Full-reference metrics by FFmpeg's libvmaf and xpsnr filters, and libvmaf's log: read strictly, pooled, written."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import Any

import ffmpeg
import numpy as np

from harness.errors import HarnessError, InputError
from harness.files import read_json, scratch_folder
from harness.media.ffmpeg import FFmpeg, Stream, arguments, filters_of, last_words
from harness.media.pairing import Input

DEFAULT_VMAF = "vmaf_v0.6.1"
VMAF_MODELS = ("vmaf_v0.6.1", "vmaf_v0.6.1neg", "vmaf_4k_v0.6.1", "vmaf_v1.0.16_3d0h", "vmaf_v1.0.16_5d0h")
FEATURES = {"psnr": "psnr", "ssim": "float_ssim", "ms_ssim": "float_ms_ssim"}
COLUMNS = {
    "psnr": ("psnr_y", "psnr_cb", "psnr_cr"),
    "ssim": ("float_ssim",),
    "ms_ssim": ("float_ms_ssim",),
    "xpsnr": ("xpsnr_y", "xpsnr_u", "xpsnr_v"),
}
METRICS = tuple(COLUMNS)
_SMALL, _SIDES = 256, (24, 32, 64, 128, 192, 256, 384, 512)  # where measures differ in what they take, and what to try
_PACKED = (".y4m", ".yuv", ".raw")
_AT_END = "endall"  # by default the last frame of the side that ends first is compared again and again


@dataclass(frozen=True)
class Log:
    """Per-frame scores: `frames[n][metric]`, in frame order, all finite; `version` is libvmaf's own word."""

    frames: Mapping[int, Mapping[str, float]]
    version: str = ""

    def column(self, metric: str) -> np.ndarray:
        """One metric over the frames, float64 `[N]`."""
        return np.array([scores[metric] for scores in self.frames.values()], np.float64)

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, in the order they were measured."""
        return list(next(iter(self.frames.values())))

    def merged(self, columns: Mapping[str, Mapping[int, float]]) -> Log:
        """With further metrics; `HarnessError` when one lacks a frame."""
        frames = {number: dict(scores) for number, scores in self.frames.items()}
        for metric, values in columns.items():
            if values.keys() != frames.keys():
                raise HarnessError(f"{metric} has {len(values)} frames, the log has {len(frames)}")
            for number, value in values.items():
                frames[number][metric] = value
        return Log(frames, self.version)


@dataclass(frozen=True)
class PairedInput:
    """What FFmpeg compares: pair `i` is frame `first_* + i` of each side, `count` pairs, every `every`-th scored.

    `width`, `height` and `chroma` (`420`, `422`, `444`) are those of both sides.
    """

    reference: Input
    distorted: Input
    first_reference: int
    first_distorted: int
    count: int
    rate: Fraction
    every: int = 1
    width: int = 0
    height: int = 0
    chroma: str = "420"

    def chains(self) -> dict[str, str]:
        """All that FFmpeg does to the frames of each side before it compares them, as one chain of its filters."""
        sides = {
            "reference": (self.reference, self.first_reference),
            "distorted": (self.distorted, self.first_distorted),
        }
        return {name: filters_of(self._frames(*side)) for name, side in sides.items()}

    def arguments(self, filters: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """FFmpeg's arguments to feed the pairs, distorted first, to each of `filters`; pictures are dropped."""
        sides = [(self.distorted, self.first_distorted), (self.reference, self.first_reference)]
        # equal chains would be one node of ffmpeg-python's: then that one feeds both sides
        copies = {side: self._frames(*side).split() for side in sides}
        outputs = []
        for name, options in filters.items():
            fed = [copies[side][f"{name} {place}"] for place, side in enumerate(sides)]
            outputs.append(ffmpeg.filter(fed, name, **options).output("-", f="null", fps_mode="passthrough"))
        # -xerror: else FFmpeg conceals what is damaged, and the score is of its guesses
        return ["-xerror", *arguments(*outputs)]

    def _frames(self, source: Input, first: int) -> Stream:
        """One side's frames on a clock of their number, and under the same colour tags as the other's: where sides
        differ in those, or one has none, FFmpeg converts one. What may not be compared as it is, `pair` refuses."""
        cut = source.video().filter("trim", start_frame=first, end_frame=first + self.count)
        clock = cut.filter("settb", expr="AVTB")
        timed = clock.filter("setpts", expr=f"N*{self.rate.denominator}/({self.rate.numerator}*TB)")
        return timed.filter("setparams", range="pc", colorspace="unknown")  # pc: some decoders' formats imply it

    def named(self, failure: str) -> str:
        """FFmpeg's words about a failure, with the clip that they number."""
        number = re.search(r"\[v?i(?:n|st)#([01])", failure)
        if not number:
            return failure
        return f"{(self.distorted, self.reference)[int(number[1])].path}: {failure}"

    @property
    def scored(self) -> range:
        """Numbers of the pairs that are scored."""
        return range(0, self.count, self.every)


def vmaf_column(model: str) -> str:
    """The log's name for a VMAF model: `vmaf` for the default one, else the model's version."""
    return "vmaf" if model == DEFAULT_VMAF else model


def check_measures(program: FFmpeg, vmaf_models: Sequence[str], metrics: Sequence[str]) -> None:
    """`InputError` for an unknown metric, a filter that this FFmpeg lacks, or a VMAF model that does not score."""
    for name in metrics:
        if name not in METRICS:
            raise InputError(f"unknown metric {name!r} (allowed: {', '.join(METRICS)})")
    program.require(filter="libvmaf")
    if "xpsnr" in metrics:
        program.require(filter="xpsnr")
    for name in vmaf_models:
        refusal = vmaf_probe(program, name)[1]
        if refusal:
            raise InputError(f"VMAF model {name!r}: {refusal} (allowed: libvmaf's, such as {', '.join(VMAF_MODELS)})")


@functools.cache
def vmaf_probe(program: FFmpeg, model: str) -> tuple[str, str]:
    """libvmaf's version, from its log of two grey frames scored with `model`, and why that failed; one is empty."""
    # some v1 models crash on 384x216 and less
    source = ffmpeg.input("color=gray:size=640x360:rate=25:duration=0.08", f="lavfi")
    grey = source.filter("format", pix_fmts="yuv420p").split()
    with scratch_folder() as scratch:
        log = Path(scratch, "vmaf.json")
        options = {"model": f"version={model}", "log_fmt": "json", "log_path": log}
        scored = ffmpeg.filter([grey[0], grey[1]], "libvmaf", **options)
        try:
            said = program.run(arguments(scored.output("-", f="null")), timeout=60)
        except HarnessError as error:
            return "", str(error)
        return (str(read_json(log)["version"]), "") if log.exists() else ("", last_words(said.splitlines()))


def measure(
    program: FFmpeg,
    paired: PairedInput,
    vmaf_models: Sequence[str] = (DEFAULT_VMAF,),
    metrics: Sequence[str] = ("psnr", "ssim", "xpsnr"),
    *,
    threads: int = 2,
    progress: Callable[[int], None] | None = None,
    timeout: float | None = 300.0,
    stop: Event | None = None,
) -> Log:
    """One FFmpeg run over paired clips; frames are paired by number, whatever their timestamps say.

    Raises `InputError` as `check_measures` does, `HarnessError` when FFmpeg fails or its log is not whole and finite.
    """
    check_measures(program, vmaf_models, metrics)
    with scratch_folder() as scratch:
        log_path, xpsnr_path = Path(scratch, "vmaf.json"), Path(scratch, "xpsnr.log")
        args = measuring(paired, vmaf_models, metrics, log_path, xpsnr_path, threads)
        try:
            said = program.run(args, progress=progress, total=paired.count, timeout=timeout, stop=stop)
        except HarnessError as error:
            raise HarnessError(paired.named(str(error))) from error
        if not log_path.exists():
            raise HarnessError(f"FFmpeg ended well and libvmaf wrote no log: {last_words(said.splitlines())}")
        wanted = [vmaf_column(name) for name in vmaf_models]
        wanted += [column for name in metrics if name in FEATURES for column in COLUMNS[name]]
        log = read_log(log_path, paired.scored, wanted)
        if "xpsnr" in metrics:
            log = log.merged(_read_xpsnr(xpsnr_path, paired))
    return log


def measuring(
    paired: PairedInput, vmaf_models: Sequence[str], metrics: Sequence[str], log: Path, xpsnr: Path, threads: int
) -> list[str]:
    """FFmpeg's arguments to measure paired clips: libvmaf's JSON goes to `log`, the xpsnr filter's lines to `xpsnr`."""
    options = {"log_path": log, "n_threads": threads, "n_subsample": paired.every, "eof_action": _AT_END}
    compared: dict[str, dict[str, Any]] = {"libvmaf": options | _measures(vmaf_models, metrics)}
    if "xpsnr" in metrics:
        compared["xpsnr"] = {"stats_file": xpsnr, "eof_action": _AT_END}
    return paired.arguments(compared)


def _measures(vmaf_models: Sequence[str], metrics: Sequence[str]) -> dict[str, Any]:
    """The libvmaf filter's options that name what to measure."""
    options: dict[str, Any] = {"log_fmt": "json"}
    if vmaf_models:
        options["model"] = "|".join(f"version={name}:name={vmaf_column(name)}" for name in vmaf_models)
    if features := [f"name={FEATURES[name]}" for name in metrics if name in FEATURES]:
        options["feature"] = "|".join(features)
    return options


def check_size(
    program: FFmpeg, width: int, height: int, pix_fmt: str, vmaf_models: Sequence[str], metrics: Sequence[str]
) -> None:
    """`InputError` for pictures too small for a measure, with a size that works: libvmaf itself may crash on them."""
    asked = (pix_fmt, tuple(vmaf_models), tuple(metrics))
    if min(width, height) >= _SMALL or not (refusal := _size_refusal(program, width, height, *asked)):
        return
    works = next((side for side in _SIDES if not _size_refusal(program, side, side, *asked)), None)
    allowed = f"{works}x{works} or more" if works else "other metrics or VMAF models"
    raise InputError(f"clips of {width}x{height} are too small for libvmaf: {refusal} (allowed: {allowed})")


@functools.cache
def _size_refusal(
    program: FFmpeg, width: int, height: int, pix_fmt: str, vmaf_models: tuple[str, ...], metrics: tuple[str, ...]
) -> str:
    """Why two grey frames of a size are not scored; empty when they are."""
    source = ffmpeg.input(f"color=gray:size={width}x{height}:rate=25:duration=0.08", f="lavfi")
    grey = source.filter("format", pix_fmts=pix_fmt).split()
    with scratch_folder() as scratch:
        log = Path(scratch, "vmaf.json")
        scored = ffmpeg.filter([grey[0], grey[1]], "libvmaf", log_path=log, **_measures(vmaf_models, metrics))
        try:
            said = program.run(arguments(scored.output("-", f="null")), timeout=60)
        except HarnessError as error:
            return "it crashes" if "was killed by SIG" in str(error) else str(error)
        return "" if log.exists() else last_words(said.splitlines())


def why_no_xpsnr(inputs: Sequence[Input], bit_depth: int) -> str:
    """Why FFmpeg's xpsnr filter gives wrong numbers for these inputs; empty when it does not.

    Above 8 bits it reads past rows that a decoder has padded; those of y4m and raw video are not.
    """
    packed = all(
        one.path.suffix.lower() in _PACKED and not (one.turn or one.scale or one.planar or one.pix_fmt)
        for one in inputs
    )
    if bit_depth <= 8 or packed:
        return ""
    return (
        f"FFmpeg's filter is wrong at {bit_depth} bits for rows that a decoder pads "
        "(y4m is right: ffmpeg -i CLIP -strict -1 OUT.y4m)"
    )


def read_log(path: Path, frames: Sequence[int], metrics: Sequence[str] = ()) -> Log:
    """Read libvmaf's JSON log; it must hold exactly `frames`, each with every one of `metrics`, all finite.

    Raises `HarnessError` naming the first frame that is missing, unexpected, null or NaN.
    """
    content = read_json(path)
    try:
        found = {int(entry["frameNum"]): dict(entry["metrics"]) for entry in content["frames"]}
    except (KeyError, TypeError, ValueError) as error:
        raise HarnessError(f"{path.name} has not the shape of libvmaf's log: {error!r}") from error
    if list(found) != list(frames):
        missing = sorted(set(frames) - found.keys())
        odd = f"frame {missing[0]} is missing" if missing else f"frame {max(found, default=-1)} was not asked for"
        raise HarnessError(f"libvmaf scored {len(found)} of {len(frames)} frames: {odd}")
    names = [*metrics, *(name for name in next(iter(found.values()), {}) if name not in metrics)]
    for number, scores in found.items():
        for name in names:
            value = scores.get(name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise HarnessError(f"libvmaf gave {name} = {json.dumps(value)} for frame {number}")
    return Log(
        {number: {name: float(scores[name]) for name in names} for number, scores in found.items()},
        str(content.get("version", "")),
    )


def _read_xpsnr(path: Path, paired: PairedInput) -> dict[str, dict[int, float]]:
    text = path.read_text() if path.exists() else ""
    rows = re.findall(r"n: +(\d+) +XPSNR y: +(\S+)(?: +XPSNR u: +(\S+) +XPSNR v: +(\S+))?", text)
    if [int(row[0]) for row in rows] != list(range(1, paired.count + 1)):
        raise HarnessError(f"xpsnr scored {len(rows)} of {paired.count} frames")
    columns: dict[str, dict[int, float]] = {}
    for place, name in enumerate(COLUMNS["xpsnr"], 1):
        if all(row[place] for row in rows):
            columns[name] = {number: _decibels(rows[number][place]) for number in paired.scored}
    return columns


def _decibels(text: str) -> float:
    value = float(text)
    if math.isnan(value):
        raise HarnessError("xpsnr gave NaN")
    return min(value, 60.0)  # equal planes: where libvmaf's own PSNR stops at 8 bits


def pooled(values: np.ndarray) -> dict[str, float | None]:
    """min, max, mean and harmonic mean as libvmaf pools them (`harmonic_mean = N / sum(1 / (x + 1)) - 1`).

    A harmonic mean that does not exist, as a value is -1 or less, is None.

    >>> pooled(np.array([1.0, 3.0]))["harmonic_mean"]
    1.666667
    """
    harmonic = len(values) / np.sum(1 / (values + 1)) - 1 if np.all(values > -1) else None
    stats = {"min": values.min(), "max": values.max(), "mean": values.mean(), "harmonic_mean": harmonic}
    return {name: None if value is None else round(float(value), 6) for name, value in stats.items()}


def as_json(log: Log, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The log in libvmaf's shape, six decimals as it prints them, plus a `harness` block saying how it was made."""
    frames = [
        {"frameNum": number, "metrics": {name: round(value, 6) for name, value in scores.items()}}
        for number, scores in log.frames.items()
    ]
    return {
        "schema_version": 1,  # of this shape; what follows is libvmaf's own
        "version": log.version,
        "frames": frames,
        "pooled_metrics": {name: pooled(log.column(name)) for name in log.metrics},
        "aggregate_metrics": {},
        "harness": dict(provenance),
    }
