"""Some frames of a clip that stand for all of it: runs of consecutive ones, spread over it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from harness.media.frames import ClipInfo, Frame
from harness.media.open import Clip, open_clip
from harness.media.pairing import survey
from harness.media.y4m import write_y4m
from harness.models.sources import Mapper
from harness.models.working_size import WorkingSize
from harness.roi.encode import check_frame
from harness.roi.encoders import Encoder
from harness.roi.frame_offsets import FrameOffsets, offsets_of_frames
from harness.roi.laws import Law
from harness.roi.offsets import Strength

RUNS, RUN_FRAMES = 3, 12  # so many runs, each of so many frames; shorter ones make strengths too strong


def runs_of(frames: int) -> list[range]:
    """Which frames of a clip are sampled: the middle of each of `RUNS` parts, or all where that is no more.

    >>> runs_of(300)
    [range(44, 56), range(144, 156), range(244, 256)]
    >>> runs_of(20)
    [range(0, 20)]
    """
    if frames <= RUNS * RUN_FRAMES:
        return [range(frames)]
    starts = [round((part + 0.5) * frames / RUNS - RUN_FRAMES / 2) for part in range(RUNS)]
    return [range(start, start + RUN_FRAMES) for start in starts]


@dataclass(frozen=True)
class Samples:
    """Runs of a clip's frames one after another, decoded once into a raw file; frames keep their numbers, not times."""

    info: ClipInfo
    raw: Path
    runs: tuple[range, ...]
    shot: range | None = None

    @classmethod
    def of(cls, clip: Clip, raw: Path, heard: Callable[[int], None] = lambda done: None) -> Samples:
        """Those of `runs_of` the clip; where it ends before it says, it is counted first."""
        runs = runs_of(clip.info.frames or survey(clip).frames)
        while _write(clip, raw, _within(clip, runs, heard)) != sum(map(len, runs)):
            runs = runs_of(survey(clip).frames)
        return cls(_steady(clip.info, runs), raw, tuple(runs))

    @classmethod
    def of_shots(
        cls, clip: Clip, folder: Path, shots: Sequence[range], heard: Callable[[int], None] = lambda done: None
    ) -> list[Samples]:
        """Those of each of some shots, in order, by one pass over the clip."""
        runs = {
            shot: [range(shot.start + run.start, shot.start + run.stop) for run in runs_of(len(shot))] for shot in shots
        }
        frames = _within(clip, list(itertools.chain.from_iterable(runs.values())), heard)
        found = []
        for shot, own in itertools.groupby(frames, lambda frame: next(shot for shot in shots if frame.index in shot)):
            raw = folder / f"from{shot.start}.y4m"
            _write(clip, raw, own)
            found.append(cls(_steady(clip.info, runs[shot]), raw, tuple(runs[shot]), shot))
        return found

    @property
    def where(self) -> str:
        """Which shot of the clip they are of, in words; empty for the whole."""
        return f" from frame {self.shot.start} to {self.shot.stop - 1}" if self.shot else ""

    @property
    def count(self) -> int:
        """How many frames there are."""
        return sum(map(len, self.runs))

    def __iter__(self) -> Iterator[Frame]:
        numbers = itertools.chain.from_iterable(self.runs)
        for place, (frame, number) in enumerate(zip(open_clip(self.raw), numbers, strict=True)):
            moment = float(place / self.info.frame_rate)
            yield replace(frame, index=number, time=moment, matrix=self.info.matrix, range=self.info.range)

    def offsets(
        self, mapper: Mapper, working: WorkingSize, knob: Strength, able: Encoder, weight: float, law: Law
    ) -> Iterator[tuple[Frame, FrameOffsets]]:
        """Frames with their offsets; nothing is averaged from one run to the next."""
        for run in self.runs:
            yield from offsets_of_frames(_Run(self, run), mapper, working, knob, able, weight, law)


def _write(clip: Clip, raw: Path, frames: Iterable[Frame]) -> int:
    info = clip.info
    return write_y4m(raw, frames, info.frame_rate, pixel_shape=info.pixel_shape, siting=info.siting)


def _steady(info: ClipInfo, runs: Sequence[range]) -> ClipInfo:
    """What is known of runs of a clip that follow each other at its rate."""
    zero = Fraction(0)
    return replace(info, frames=sum(map(len, runs)), variable_rate=False, tick=None, start=zero, begins=zero)


def _within(clip: Clip, runs: Sequence[range], heard: Callable[[int], None]) -> Iterator[Frame]:
    for frame in itertools.islice(clip, runs[-1].stop):
        if any(frame.index in run for run in runs):
            check_frame(frame, clip.info.path)  # a y4m would not say so
            yield frame
        heard(frame.index + 1)


@dataclass(frozen=True)
class _Run:
    samples: Samples
    run: range

    @property
    def info(self) -> ClipInfo:
        return self.samples.info

    def __iter__(self) -> Iterator[Frame]:
        return (frame for frame in self.samples if frame.index in self.run)
