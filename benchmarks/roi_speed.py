"""What a map costs an encode: x264 medium at 1280x720, plain against steered, side by side in one run.

Run with: `python -m benchmarks.roi_speed CLIP --model saliency_student_v1 [--working-size 256] [--repeats 3]`

Ratios are medians over interleaved repeats, of processor time (all threads; what matters on a busy machine) and of
wall time (what overlapping wins where cores are free). `attach` replays maps worked out beforehand, `model` works them
out while encoding. Memory is the growth of the process's peak between a short and a longer encode.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import av

from harness.media.clips import Clip, ClipInfo, Frame, open_clip
from harness.roi.encode import Plan, ahead, encode, plans_of
from harness.roi.encoders import Settings, find_encoder
from harness.roi.offsets import Strength
from harness.saliency.working_size import WorkingSize
from harness.steer import map_source

WIDTH, HEIGHT = 1280, 720


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
        y, u, v = planes[:HEIGHT], *planes[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
        frames.append(replace(frame, y=y, u=u, v=v))
    return frames


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--model", default="production")
    parser.add_argument("--working-size", default="256")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--long", type=int, default=0, help="Frames of the long encode for the memory check; 0: skip.")
    asked = parser.parse_args()
    clip = open_clip(asked.clip)
    frames = scaled(clip, asked.frames)
    encoder, settings = find_encoder("libx264"), Settings(crf=28, preset="medium")
    mapper, working = map_source(asked.model).open(threads=0), WorkingSize.parse(asked.working_size)

    def planned(looped: Looped) -> Iterator[tuple[Frame, Plan]]:
        return plans_of(looped, mapper, working, Strength(4), encoder, 0.5)  # type: ignore[arg-type]

    short = Looped(frames, clip.info, asked.frames)
    ready = list(planned(short))
    sources: dict[str, Callable[[], Iterator[tuple[Frame, Plan | None]]]] = {
        "plain": lambda: ((frame, None) for frame in short),
        "attach": lambda: iter(ready),
        "model": lambda: ahead(planned(short)),
    }
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in sources}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.mkv")
        for _ in range(asked.repeats):
            for name, source in sources.items():
                started = time.process_time(), time.perf_counter()
                encode(short.info, source(), encoder, settings, out)
                spent[name].append((time.process_time() - started[0], time.perf_counter() - started[1]))
        for clock, kind in enumerate(("processor time", "wall time")):
            plain = [each[clock] for each in spent["plain"]]
            print(f"{kind}: plain {1000 * statistics.median(plain) / asked.frames:.1f} ms a frame")
            for name in ("attach", "model"):
                ratios = [each[clock] / base for each, base in zip(spent[name], plain, strict=True)]
                print(f"  {name}/plain {statistics.median(ratios):.3f} of {', '.join(f'{r:.3f}' for r in ratios)}")
        if asked.long:
            before = peak_mib()
            long = Looped(frames, clip.info, asked.long)
            encode(long.info, ahead(planned(long)), encoder, replace(settings, preset="ultrafast"), out)
            print(f"memory: peak {before:.0f} MiB after {asked.frames} frames, {peak_mib():.0f} after {asked.long}")


if __name__ == "__main__":
    main()
