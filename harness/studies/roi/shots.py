"""Where a clip's shots begin, and which of them are long enough to be asked for a strength of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from harness.media.open import Clip
from harness.saliency.smoothing import Cuts
from harness.studies.roi.samples import RUN_FRAMES, RUNS

LEAST = 2 * RUNS * RUN_FRAMES  # frames of a shot with a strength of its own: at most half of it is sampled
WORTH = 230  # frames that could be encoded at x264's medium in the time of one shot's probes
SHARE = 0.25  # of an encode's time that probes of shots may take


def fewest_frames() -> int:
    """Of a clip with shots that are asked for a strength each: two of them, at `SHARE` of its time."""
    return math.ceil(2 * WORTH / SHARE)


def shots_of(clip: Clip, heard: Callable[[int], None] = lambda done: None) -> list[range]:
    """The frames of each shot, in order, by one pass over the clip."""
    cuts, starts, count = Cuts(), [], 0
    peak = (1 << clip.info.bit_depth) - 1
    for frame in clip:
        if cuts.add(frame.y, peak):
            starts.append(frame.index)
        count = frame.index + 1
        heard(count)
    return [range(start, stop) for start, stop in zip(starts, [*starts[1:], count], strict=True)]


def stretches(shots: Sequence[range]) -> list[range]:
    """Shots, with short ones that follow each other joined: fast motion looks like many of them.

    >>> stretches([range(0, 100), range(100, 120), range(120, 130), range(130, 300)])
    [range(0, 100), range(100, 130), range(130, 300)]
    """
    found: list[range] = []
    joined = False
    for shot in shots:
        if found and len(shot) < LEAST and joined:
            found[-1] = range(found[-1].start, shot.stop)
        else:
            found.append(shot)
        joined = len(shot) < LEAST
    return found


def asked_alone(shots: Sequence[range]) -> list[range]:
    """Stretches that are asked for a strength each, or none: the longest, as many as `SHARE` of the clip is worth.

    >>> asked_alone([range(0, 1000), range(1000, 1020), range(1020, 3000)])
    [range(0, 1000), range(1020, 3000)]
    >>> asked_alone([range(0, 100), range(100, 300)])
    []
    """
    long = [shot for shot in shots if len(shot) >= LEAST]
    most = int(SHARE * sum(map(len, shots)) / WORTH)
    chosen = sorted(sorted(long, key=len, reverse=True)[:most], key=lambda shot: shot.start)
    return chosen if len(chosen) > 1 else []
