"""What a map costs an encode: x264 medium at 1280x720, plain against steered, side by side in one run.

Run with: `python -m benchmarks.roi_speed CLIP … --model saliency_student_v1 [--working-size 256x144 256] [--repeats 5]`

Ratios are medians over interleaved repeats, of processor time (all threads; what matters on a busy machine) and of
wall time (what overlapping wins where cores are free). `side data` replays maps worked out beforehand, the others work
them out at their working size while encoding, of every frame or (`/4`) of every fourth and at cuts. Memory is the
growth of the process's peak between a short and a longer encode.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pandas as pd

from corpora.loader import images_in
from corpora.memo import digests_of
from harness.cells import markdown
from harness.files import sha256_of
from harness.jobs.provenance import code_of, processor_name, this_command
from harness.media.frames import ClipInfo, Frame
from harness.media.open import Clip, open_clip
from harness.models.sources import Mapper, find_source
from harness.models.working_size import WorkingSize
from harness.roi.encode import encode
from harness.roi.encoders import Settings, find_encoder
from harness.roi.frame_offsets import FrameOffsets, offsets_of_frames
from harness.roi.laws import Law
from harness.roi.offsets import Strength
from harness.studies.roi.encode import USUAL_LAW
from harness.tables import Table, write_table

Way = tuple[WorkingSize, Law]
WIDTH, HEIGHT = 1280, 720
ENCODER, SETTINGS = find_encoder("libx264"), Settings(crf=28, preset="medium")


class Looped:
    """The frames of a clip at 1280x720, over and over up to `count`."""

    def __init__(self, frames: list[Frame], info: ClipInfo, count: int) -> None:
        self.frames, self.info, self.count = frames, replace(info, width=WIDTH, height=HEIGHT), count

    def __iter__(self) -> Iterator[Frame]:
        for index, frame in enumerate(itertools.islice(itertools.cycle(self.frames), self.count)):
            yield replace(frame, index=index, time=index / float(self.info.frame_rate))


def scaled(clip: Clip, count: int) -> list[Frame]:
    frames = []
    for frame in itertools.islice(clip, count):
        big: av.VideoFrame = frame.picture().reformat(WIDTH, HEIGHT)
        planes = big.to_ndarray()
        u, v = planes[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
        frames.append(replace(frame, y=planes[:HEIGHT], u=u, v=v))
    return frames


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--model", default="production")
    parser.add_argument("--working-size", nargs="+", default=["256x144", "256", "448x256"])
    parser.add_argument("--every", type=int, nargs="+", default=[1, 2, 4], help="A map of every so many frames.")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--long", type=int, default=0, help="Frames of the long encode for the memory check; 0: skip.")
    parser.add_argument("--out", type=Path, help="Folder for the table.")
    asked = parser.parse_args()
    source, sizes = find_source(asked.model), [WorkingSize.parse(text) for text in asked.working_size]
    mapper = source.open(threads=0)
    ways = [(size, replace(USUAL_LAW, every=every)) for size in sizes for every in asked.every]
    rows = [row for path in asked.clips for row in ratios(path, asked.frames, asked.repeats, mapper, ways)]
    notes = (
        f"libx264 medium, CRF {SETTINGS.crf:g}, {WIDTH}x{HEIGHT}, {asked.frames} frames, {source.name}; "
        f"median, lowest and highest of {asked.repeats} interleaved turns, each against its own plain encode.",
        "side data: maps worked out beforehand. WxH: maps worked out at that working size while encoding; /N: of every "
        "Nth frame and at cuts, holding in between.",
        f"{os.cpu_count()} cores, {processor_name()}.",
    )
    table = Table(
        "speed.roi",
        "roi",
        "What a map costs an encode",
        pd.DataFrame(rows),
        this_command(),
        {source.name: source.digest},
        {f"clip {path.stem}": digest_of(path) for path in asked.clips},
        code_of("benchmarks.roi_speed"),
        notes=notes,
    )
    print(markdown(table.rows))
    if asked.out:
        write_table(table, asked.out)
    if asked.long:
        check_memory(asked.clips[0], asked.frames, asked.long, mapper, ways[0])


def digest_of(clip: Path) -> str:
    """SHA-256 of a clip's file, or over the names and the content of the pictures in its folder."""
    if clip.is_file():
        return sha256_of(clip)
    pictures = images_in(clip)
    lines = (f"{path.name} {sha}\n" for path, sha in zip(pictures, digests_of(pictures), strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def ratios(path: Path, count: int, repeats: int, mapper: Mapper, ways: list[Way]) -> list[dict[str, Any]]:
    clip = open_clip(path)
    short = Looped(scaled(clip, count), clip.info, count)
    ready = list(planned(short, mapper, ways[0]))
    sources: dict[str, Callable[[], Iterator[tuple[Frame, FrameOffsets | None]]]] = {
        "plain": lambda: ((frame, None) for frame in short),
        "side data": lambda: iter(ready),
    }
    for way in ways:
        size, law = way
        name = f"{size}" if law.every == 1 else f"{size}/{law.every}"
        sources[name] = lambda way=way: planned(short, mapper, way)  # type: ignore[misc]
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in sources}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(repeats):
            for name, source in sources.items():
                started = time.process_time(), time.perf_counter()
                encode(short.info, source(), ENCODER, SETTINGS, Path(folder, "out.mkv"))
                spent[name].append((time.process_time() - started[0], time.perf_counter() - started[1]))
    rows = []
    for name in list(sources)[1:]:
        row: dict[str, Any] = {"clip": path.stem, "against plain": name}
        for clock, kind in enumerate(("processor", "wall")):
            found = [one[clock] / base[clock] for one, base in zip(spent[name], spent["plain"], strict=True)]
            row |= {f"{kind} ratio": statistics.median(found), f"{kind} low": min(found), f"{kind} high": max(found)}
        rows.append(row)
    return rows


def planned(looped: Looped, mapper: Mapper, way: Way) -> Iterator[tuple[Frame, FrameOffsets]]:
    working, law = way
    return offsets_of_frames(looped, mapper, working, Strength(4), ENCODER, 0.5, law)


def check_memory(path: Path, short: int, long: int, mapper: Mapper, way: Way) -> None:
    clip, before = open_clip(path), peak_mib()
    looped = Looped(scaled(clip, short), clip.info, long)
    with tempfile.TemporaryDirectory() as folder:
        fast = replace(SETTINGS, preset="ultrafast")
        encode(looped.info, planned(looped, mapper, way), ENCODER, fast, Path(folder, "out.mkv"))
    print(f"memory: peak {before:.0f} MiB after {short} frames, {peak_mib():.0f} after {long}")


if __name__ == "__main__":
    main()
