"""What `saliency_mean` does over clips: how far it differs between them, and what compression makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from corpora.loader import ClipPair, clip_digest
from harness.errors import InputError
from harness.files import scratch_folder
from harness.jobs import Job, Store, run_jobs
from harness.media.encode import encode_frames
from harness.media.ffmpeg import find_ffmpeg
from harness.media.frames import Frame
from harness.media.open import Clip, open_clip
from harness.models.model_file import ModelFile
from harness.models.session import MULTIPLE, SaliencyModel, load_model
from harness.quality.native import COLUMN, choose
from harness.saliency.feature import extract
from harness.studies.score.padding import why_not_padded
from harness.studies.score.pair import ScorePlan, check_names, score

ENCODER: Literal["libx264"] = "libx264"
SOURCE = "source"  # of a row that is no encode
THREADS = 1


@dataclass(frozen=True)
class FeaturePlan:
    """Which encodes of every clip to read, and how much of them: the first `frames`, every `every`-th of these."""

    crfs: tuple[int, ...]
    frames: int
    every: int = 4
    preset: str = "medium"


@dataclass(frozen=True)
class Parity:
    """A native extractor beside the embedded one: its name, None where none decides anything, why, and the rows."""

    native: str | None
    reason: str
    rows: pd.DataFrame


def feature_rows(
    clips: Sequence[ClipPair],
    models: Sequence[ModelFile],
    plan: FeaturePlan,
    executor: Callable[[], Executor],
    store: Store | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """`saliency_mean` of every clip and of its encodes, averaged over the frames read.

    Args:
        clips: What to read; the encodes are made here, by libx264.
        models: Whose maps; each with a name of its own.
        plan: Encodes and frames.
        executor: Makes what runs the jobs, one a clip.
        store: Finished jobs.
        progress: Hears (done, all).

    Returns:
        A row per clip, version (`source`, `crf 23`, …) and model: `clip`, `version`, `frames`, `model`,
        `saliency_mean`.

    Raises:
        InputError: For two models of one name, or a file that does not load.
    """
    check_names([model.name for model in models])
    for model in models:
        load_model(model)
    slots = {f"model {place}": model for place, model in enumerate(models)}  # a name decides no number
    loaded = [[slot, str(model.path.absolute()), model.sha256] for slot, model in slots.items()]
    settings = {**asdict(plan), "crfs": list(plan.crfs)}
    jobs = [
        Job(
            measure_clip,
            {"name": clip.name, **settings},
            {"clip": clip_digest(clip), **{slot: sha256 for slot, _, sha256 in loaded}},
            {"frames_of": str(clip.frames.absolute()), "models": loaded},
        )
        for clip in clips
    ]
    found = run_jobs(jobs, executor, store, progress)
    return pd.DataFrame([row | {"model": slots[row["model"]].name} for rows in found for row in rows])


def measure_clip(
    name: str, frames_of: str, models: list[list[str]], crfs: list[int], frames: int, every: int, preset: str
) -> list[dict[str, Any]]:
    """The rows of one clip; the encodes are not kept."""
    loaded = [load_model(ModelFile.known(*model), THREADS) for model in models]
    found = {SOURCE: _means(islice(open_clip(frames_of), 0, frames, every), loaded)}
    with scratch_folder() as scratch:
        for crf in crfs:
            encode = _encode(frames_of, frames, crf, preset, Path(scratch, f"{crf}.mkv"))
            found[f"crf {crf}"] = _means(islice(encode, 0, frames, every), loaded)
    return [
        {"clip": name, "version": version, "frames": len(means), "model": model.name, "saliency_mean": float(mean)}
        for version, means in found.items()
        for model, mean in zip(loaded, means.mean(axis=0), strict=True)
    ]


def native_parity(clip: ClipPair, model: ModelFile, usable: ModelFile, plan: FeaturePlan) -> Parity:
    """The largest difference of `saliency_mean` between a native extractor and the embedded one on an encode.

    Args:
        clip: Whose encode at the plan's first CRF both score, on every frame.
        model: The model that both run.
        usable: A model that any native extractor must run: one that does not is taken for none.
        plan: The encode.

    Returns:
        The row says with how many digits the native extractor printed. A build that does not pad, where the clip's
        sides need it, is none: what sets it apart from the embedded extractor is no fault of a model.

    Raises:
        HarnessError: When the native extractor refuses `model`.
    """
    extractor, reason = choose("auto", find_ffmpeg(), usable.path)
    if extractor is None:
        return Parity(None, reason, pd.DataFrame())
    info = open_clip(clip.frames).info
    if (info.width % MULTIPLE or info.height % MULTIPLE) and (padless := why_not_padded(extractor)):
        return Parity(None, padless, pd.DataFrame())
    loaded = load_model(model)
    with scratch_folder() as scratch:
        opened = _encode(clip.frames, plan.frames, plan.crfs[0], plan.preset, Path(scratch, "clip.mkv"))
        plans = [ScorePlan(vmaf_models=(), metrics=("psnr",), backend=name) for name in (extractor.name, "embedded")]
        native, embedded = (score(opened, opened, [loaded], one).log.column(COLUMN) for one in plans)
    apart = float(np.abs(native - embedded).max())
    row = {"clip": clip.name, "model": model.name, "frames": len(native), "max_abs_diff": apart}
    row["digits"] = "all" if extractor.precise else "six decimals"
    return Parity(extractor.name, reason, pd.DataFrame([row]))


def _encode(clip: str | Path, frames: int, crf: int, preset: str, path: Path) -> Clip:
    """The first `frames` of a clip at one CRF, written to `path`."""
    source = open_clip(clip)
    encode_frames(path, islice(source, frames), source.info, ENCODER, {"crf": str(crf), "preset": preset})
    return open_clip(path)


def _means(frames: Iterable[Frame], models: Sequence[SaliencyModel]) -> np.ndarray:
    """`[frames, models]`; `InputError` for no frames."""
    found = [sample.means for sample in extract(frames, models)]
    if not found:
        raise InputError("a clip without frames has no saliency_mean")
    return np.array(found)
