"""Score a distorted clip against its reference: libvmaf's metrics and `saliency_mean`, in one log."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from harness.errors import InputError
from harness.files import scratch_folder, write_json
from harness.media.ffmpeg import FFmpeg, find_ffmpeg
from harness.media.frames import ClipInfo, Frame, pix_fmt_name
from harness.media.open import Clip, open_clip
from harness.media.pairing import Pairing, as_input, pair
from harness.models.session import SaliencyModel, load_model
from harness.quality.libvmaf import (
    DEFAULT_VMAF,
    Log,
    PairedInput,
    as_json,
    check_measures,
    check_size,
    measure,
    why_no_xpsnr,
)
from harness.quality.native import COLUMN, NAMES, NativeExtractor, choose
from harness.saliency.feature import FrameMeans, extract
from harness.studies.score.hints import hints
from harness.studies.score.notebook import SEEN, SEEN_WIDTH, notebook
from harness.studies.score.outputs import ScoreOutputs
from harness.studies.score.padding import why_not_padded
from harness.version import __version__

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ScorePlan:
    """What to measure and of which frames; see `harness score --help`."""

    vmaf_models: tuple[str, ...] = (DEFAULT_VMAF,)
    metrics: tuple[str, ...] = ("psnr", "ssim", "xpsnr")
    backend: str = "auto"
    shortest: bool = False
    offset: int = 0
    first: int = 0
    last: int | None = None
    every: int = 1
    allow_highbit: bool = False
    scale: str | None = None
    depth: int | None = None
    sync: int = 0
    timeout: float | None = 300.0


@dataclass(frozen=True)
class Score:
    """The merged log and how it was made; of the first model, where the embedded extractor ran, a few frames' maps, in
    [0, 1], float32 `[H, W]` of at most `SEEN_WIDTH` columns, by frame number."""

    log: Log
    provenance: dict[str, Any]
    maps: Mapping[int, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    def as_json(self) -> dict[str, Any]:
        """In the shape of libvmaf's log."""
        return as_json(self.log, self.provenance)

    def write(self, path: Path) -> None:
        """Write the log, whole or not at all."""
        write_json(path, self.as_json())

    def _repr_html_(self) -> str:
        """As a notebook shows it: every metric pooled, the scores frame by frame, and some of the maps."""
        return notebook(self.log, self.provenance, self.maps)


def score(
    reference: Clip | Path | str,
    distorted: Clip | Path | str,
    models: Sequence[SaliencyModel | Path | str],
    plan: ScorePlan = ScorePlan(),
    *,
    outputs: ScoreOutputs = ScoreOutputs(),
    progress: Progress | None = None,
) -> Score:
    """Score a distorted clip against its reference: FFmpeg and the extractor side by side over the paired frames.

    Args:
        reference: A clip or its path.
        distorted: The clip whose saliency is taken.
        models: Loaded models, registry ids, `production`, or paths; none leaves `saliency_mean` out.
        plan: Which metrics, of which frames, by which back end.
        outputs: Files to write beside the result.
        progress: Hears (pairs done, all pairs) of the slower of the two.

    Returns:
        The log, a value per metric and frame, with its provenance.

    Raises:
        InputError: For clips that do not match, two models of one name, an unknown metric, or an output that would
            lose an input.
        HarnessError: When a run fails.
    """
    reference, distorted = (
        open_clip(clip) if isinstance(clip, str | Path) else clip for clip in (reference, distorted)
    )
    loaded = [load_model(model) if isinstance(model, str | Path) else model for model in models]
    inputs = {"reference clip": reference.info.path, "distorted clip": distorted.info.path}
    outputs.check_apart(inputs | {f"model {model.name}": model.facts.path for model in loaded})
    with outputs.opened(distorted) as files:
        found = _score(reference, distorted, loaded, plan, progress, files.keep)
        if files.log:
            found.write(files.log)
    return found


def _score(
    reference: Clip,
    distorted: Clip,
    models: Sequence[SaliencyModel],
    plan: ScorePlan,
    progress: Progress | None,
    on_frame: Callable[[FrameMeans], None] | None,
) -> Score:
    ffmpeg, pairing = checked_pair(reference, distorted, models, plan)
    shape = pairing.distorted.info
    native, reason = back_end(plan, ffmpeg, models, distorted.info, maps_wanted=on_frame is not None)
    done = {"ffmpeg": 0, "saliency": 0 if models and not native else pairing.count}

    def report(side: str, count: int) -> None:
        done[side] = count
        if progress:
            progress(min(done.values()), pairing.count)

    seen = dict[int, np.ndarray]()
    with scratch_folder() as scratch, ThreadPoolExecutor(1) as pool:
        paired = paired_input(pairing, Path(scratch), plan.every)
        version = None
        metrics, left_out = measurable(paired, plan.metrics, plan.depth or shape.bit_depth)
        stop = Event()
        measured = pool.submit(
            measure,
            ffmpeg,
            paired,
            plan.vmaf_models,
            metrics,
            threads=os.cpu_count() or 1,
            progress=lambda count: report("ffmpeg", count),
            timeout=plan.timeout,
            stop=stop,
        )
        measured.add_done_callback(lambda run: stop.set() if run.exception() else None)
        try:
            if native:
                logs = [native.means(paired, model.facts.path, plan.timeout, stop) for model in models]
                columns = [{number: row[COLUMN] for number, row in log.frames.items()} for log in logs]
                version = ", ".join(dict.fromkeys(log.version for log in logs))
            else:
                columns = _embedded(pairing, models, plan, lambda n: report("saliency", n), on_frame, seen, stop)
        except BaseException:
            if stop.is_set():
                measured.result()  # what stopped this side is the cause
            stop.set()
            raise
        log = measured.result()
    log = log.merged(_named(models, columns))
    made = _provenance(pairing, models, plan, ffmpeg, native, reason)
    made["saliency_libvmaf"] = version
    return Score(log, {**made, "left_out": left_out, "hints": hints(pairing, plan.vmaf_models, log)}, seen)


def checked_pair(
    reference: Clip, distorted: Clip, models: Sequence[SaliencyModel], plan: ScorePlan
) -> tuple[FFmpeg, Pairing]:
    """The program that measures and the pairs; `InputError` for what `score` refuses before it measures."""
    check_names([model.name for model in models])
    names = ("shortest", "offset", "first", "last", "scale", "depth", "sync")
    pairing = pair(reference, distorted, **{name: getattr(plan, name) for name in names})
    ffmpeg = find_ffmpeg()
    check_measures(ffmpeg, plan.vmaf_models, plan.metrics)
    shape = pairing.distorted.info
    check_size(ffmpeg, shape.width, shape.height, shape.pix_fmt, plan.vmaf_models, plan.metrics)
    return ffmpeg, pairing


def measurable(paired: PairedInput, metrics: Sequence[str], bit_depth: int) -> tuple[tuple[str, ...], dict[str, str]]:
    """The metrics that these inputs let FFmpeg measure, and why each other one is left out."""
    refusal = why_no_xpsnr([paired.reference, paired.distorted], bit_depth)
    left_out = {name: refusal for name in metrics if name == "xpsnr" and refusal}
    return tuple(name for name in metrics if name not in left_out), left_out


def check_names(models: Sequence[str]) -> None:
    """`InputError` when two models have one name, which names their columns."""
    twice = next((name for name in models if models.count(name) > 1), None)
    if twice:
        raise InputError(f"two models named {twice!r} (allowed: each with a name of its own)")


def saliency_columns(models: Sequence[SaliencyModel]) -> list[str]:
    """The log's column per model: `saliency_mean`, or `saliency_mean@NAME` where several models ran."""
    return [COLUMN] if len(models) == 1 else [f"{COLUMN}@{model.name}" for model in models]


def _named(models: Sequence[SaliencyModel], columns: list[dict[int, float]]) -> dict[str, dict[int, float]]:
    return dict(zip(saliency_columns(models), columns, strict=True))


def back_end(
    plan: ScorePlan, ffmpeg: FFmpeg, models: Sequence[SaliencyModel], clip: ClipInfo, maps_wanted: bool
) -> tuple[NativeExtractor | None, str]:
    """The native extractor to take, None for the embedded one, and why; `InputError` when what was asked for is not."""
    if not models:
        return None, "no saliency model asked for"
    reason = _why_embedded(clip, maps_wanted)
    if plan.depth and plan.depth > 8:
        reason = "upstream's extractor takes 8 bits"
    if reason and plan.backend == "auto":
        return None, reason
    if reason and plan.backend in NAMES and plan.backend != "embedded":
        raise InputError(f"back end {plan.backend}: {reason} (allowed: auto, embedded)")
    native, reason = choose(plan.backend, ffmpeg, models[0].facts.path)
    padless = why_not_padded(native) if native and (clip.width % 8 or clip.height % 8) else None
    if padless and plan.backend != "auto":
        raise InputError(f"back end {plan.backend} and {clip.width}x{clip.height}: {padless} (allowed: auto, embedded)")
    return (None, padless) if padless else (native, reason)


def _why_embedded(clip: ClipInfo, maps_wanted: bool) -> str | None:
    """Why no native extractor will do."""
    if maps_wanted:
        return "maps come from the embedded extractor only"
    if clip.bit_depth > 8:
        return f"only the embedded extractor rounds {clip.bit_depth} bits to 8"
    return "upstream's extractor takes no 4:0:0" if clip.chroma == "400" else None


def paired_input(pairing: Pairing, scratch: Path | None, every: int) -> PairedInput:
    """The pairs as FFmpeg is given them; without `scratch` to be looked at only, as `media.pairing.as_input` says."""
    pix_fmt = pix_fmt_name(pairing.depth, pairing.distorted.info.chroma) if pairing.depth else None
    places = (_folder(scratch / "reference"), _folder(scratch / "distorted")) if scratch else (None, None)
    return PairedInput(
        replace(as_input(pairing.reference, places[0]), pix_fmt=pix_fmt),
        replace(as_input(pairing.distorted, places[1]), pix_fmt=pix_fmt),
        pairing.first_reference,
        pairing.first_distorted,
        pairing.count,
        pairing.reference.info.frame_rate,
        every,
        pairing.distorted.info.width,
        pairing.distorted.info.height,
        pairing.distorted.info.chroma,
    )


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _embedded(
    pairing: Pairing,
    models: Sequence[SaliencyModel],
    plan: ScorePlan,
    report: Callable[[int], None],
    on_frame: Callable[[FrameMeans], None] | None,
    seen: dict[int, np.ndarray],
    stop: Event,
) -> list[dict[int, float]]:
    if not models:
        return []
    columns: list[dict[int, float]] = [{} for _ in models]
    count = len(range(0, pairing.count, plan.every))
    wanted = {round(place * (count - 1) / (SEEN - 1)) for place in range(SEEN)}
    for number, sample in enumerate(extract(_every(pairing, plan.every), models, plan.allow_highbit)):
        for column, mean in zip(columns, sample.means, strict=True):
            column[number * plan.every] = mean
        if number in wanted:
            step = -(-sample.maps[0].shape[1] // SEEN_WIDTH)
            seen[number * plan.every] = sample.maps[0][::step, ::step].copy()
        if on_frame:
            on_frame(sample)
        if stop.is_set():
            break
        report(min(pairing.count, (number + 1) * plan.every))
    return columns


def _every(pairing: Pairing, every: int) -> Iterator[Frame]:
    return (frame for number, frame in enumerate(pairing.distorted_frames()) if number % every == 0)


def _provenance(
    pairing: Pairing,
    models: Sequence[SaliencyModel],
    plan: ScorePlan,
    ffmpeg: FFmpeg,
    native: NativeExtractor | None,
    reason: str,
) -> dict[str, Any]:
    bits = pairing.distorted.info.bit_depth
    return {
        "harness": __version__,
        "reference": str(pairing.reference.info.path),
        "distorted": str(pairing.distorted.info.path),
        "first_frame": {"reference": pairing.first_reference, "distorted": pairing.first_distorted},
        "pairs": pairing.count,
        "every": plan.every,
        "scale": plan.scale,
        "depth": plan.depth,
        "sync": plan.sync,
        "backend": native.name if native else "embedded",
        "backend_reason": reason,
        "ffmpeg": ffmpeg.version,
        "vmaf_models": list(plan.vmaf_models),
        "saliency_models": {model.name: model.sha256 for model in models},
        "highbit_rounded_to_8": bits if bits > 8 and models and not native else None,
    }
