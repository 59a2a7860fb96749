"""Regions for clips that nobody annotated: where a model says salient, kept as masks beside the jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from corpora.loader import ClipPair
from corpora.memo import digests_of
from harness.errors import HarnessError, InputError
from harness.files import whole_folder
from harness.jobs import Job
from harness.locks import file_held
from harness.media.open import Clip, open_clip
from harness.media.pictures import resized
from harness.models.sources import MapSource
from harness.models.working_size import NATIVE, WorkingSize
from harness.saliency.colour import true_rgb

FOR_EVER = float("inf")
ABOVE = 0.5  # of a map: inside the region


def clips_with_regions(
    videos: Sequence[Path],
    reference: MapSource,
    working: WorkingSize,
    folder: Path,
    frames: int | None = None,
    failed: Callable[[str, str], None] | None = None,
) -> list[ClipPair]:
    """The videos as clips whose masks are where `reference` maps above `ABOVE`; finished masks are used again.

    `frames` reads only the first so many of each. Raises `InputError` for two videos of one name, and a video that
    cannot be read, unless `failed` hears its name and why.
    """
    names = [video.stem for video in videos]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"two videos are called {min(twice)!r} (must differ: tables name clips by it)")
    found = []
    for video in sorted(videos, key=lambda video: video.stem):
        try:
            found.append(ClipPair(video.stem, video, _masks(video, reference, working, folder, frames)))
        except HarnessError as error:
            if failed is None:
                raise
            failed(video.stem, str(error))
    return found


def _masks(video: Path, reference: MapSource, working: WorkingSize, folder: Path, frames: int | None) -> Path:
    clip = open_clip(video)
    inputs = {"video": digests_of([video])[0], "reference": reference.digest}
    job = Job(clips_with_regions, {"working": str(working), "frames": frames}, inputs)
    done = folder / f"{video.stem}-{job.key[:16]}"
    if done.is_dir():
        return done
    with file_held(done, f"the regions of {video.name}", FOR_EVER):  # another run may make them now
        return done if done.is_dir() else _made(clip, reference, working, done, frames)


def _made(clip: Clip, reference: MapSource, working: WorkingSize, done: Path, frames: int | None) -> Path:
    mapper = reference.open(threads=0)
    with whole_folder(done) as part:
        for frame in clip:
            if frames is not None and frame.index >= frames:
                break
            small = true_rgb(frame, working.of(frame.height, frame.width))
            saliency = np.asarray(mapper(str(frame.index), small, NATIVE), np.float32)
            mask = resized(saliency, (frame.height, frame.width)) > ABOVE
            Image.fromarray(mask.view(np.uint8) * np.uint8(255)).save(part / f"{frame.index:06d}.png")
    return done
