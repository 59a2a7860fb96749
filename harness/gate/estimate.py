"""How long a run of the gate will take, from the models' own time, taken now, and from rates that were measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.errors import HarnessError, InputError
from harness.gate.context import Contender, Context
from harness.gate.data import clips_of, pairs_of
from harness.gate.groups import accuracy, contract, cost, feature, roi
from harness.gate.looks import looks_of
from harness.media.open import open_clip

# Processor seconds of one core of the machine that results/ was measured on: all but the models, which are timed anew.
START = 4.0  # a group: processes that start and load models
PICTURE = 0.0125  # a picture and model: reading, converting, measuring
PLAIN_ENCODE = 0.047  # a megapixel of a frame: libx264 medium, decoding it again and converting
ROI_ENCODE = (0.16, 0.118)  # an encode, and a megapixel of a frame in it: libx264, VMAF, XPSNR, PSNR in masks
MAP_SIDE = 256  # what ROI maps are made at
PROBE = (480, 848)  # pixels, of the frame that a model is timed on
MEGAPIXEL = 1e6


@dataclass(frozen=True)
class Expected:
    """Wall seconds by group, on so many processes, and the models' seconds for a megapixel."""

    seconds: dict[str, float]
    workers: int
    models: dict[str, float]
    most: bool = False

    def __str__(self) -> str:
        total = sum(self.seconds.values())
        parts = ", ".join(f"{name} {duration(taken)}" for name, taken in self.seconds.items())
        timed = ", ".join(f"{name} {1000 * taken:.0f} ms" for name, taken in self.models.items())
        word = "up to " if self.most else "about " if total >= 60 else ""
        return (
            f"{word}{duration(total)} on {self.workers} processes, less what an earlier run left ({parts}; "
            f"models timed now, a megapixel: {timed})"
        )


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(40), duration(170), duration(7000)
    ('under a minute', '3 min', '1 h 57 min')
    """
    minutes = round(seconds / 60)
    if not minutes or seconds < 60:
        return "under a minute"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def expected(context: Context) -> Expected:
    """What measuring the groups of a policy will take, of the sets that are here; other work on the machine adds to it.

    A model that does not run takes no time: its checks fail at once.
    """
    models = {name: _rate(one) for name, one in zip(context.question.names, _both(context), strict=True)}
    workers = context.workers
    seconds = {}
    for group in context.policy.groups:
        if group in SECONDS:
            work = SECONDS[group](context, sum(models.values()))
            alone = group in (contract.NAME, cost.NAME)  # times are taken one after the other
            seconds[group] = START + work / (1 if alone else workers) if work else 0.0
    return Expected(seconds, workers, models, most=len(looks_of(context.policy)) > 1)


def _both(context: Context) -> tuple[Contender, Contender]:
    return context.incumbent, context.candidate


def _rate(model: Contender) -> float:
    """Seconds for a megapixel on one thread: the better of two, after one that allocates."""
    frame, taken = np.zeros((1, *PROBE, 3), np.uint8), []
    try:
        loaded = model.load(threads=1)
        loaded.maps(frame)
        for _ in range(2):
            start = time.perf_counter()
            loaded.maps(frame)
            taken.append(time.perf_counter() - start)
    except HarnessError:
        return 0.0
    return min(taken) / (PROBE[0] * PROBE[1] / MEGAPIXEL)


def _pictures(context: Context, rate: float) -> float:
    total = 0.0
    for corpus in context.profile.accuracy:
        try:
            pairs = pairs_of(context, corpus)
        except InputError:
            continue  # a set that is absent takes no time
        total += len(pairs) * (2 * PICTURE + 0.12 * rate)  # the sets' pictures have some .12 megapixels
    return total


def _clips(context: Context, most: int) -> list[tuple[int, float]]:
    """Of each clip that is there, how many of `most` frames it has, and their megapixels together."""
    try:
        infos = [open_clip(clip.frames).info for clip in clips_of(context)]
    except InputError:
        return []
    counts = [min(most, info.frames or most) for info in infos]
    return [(count, count * info.width * info.height / MEGAPIXEL) for count, info in zip(counts, infos, strict=True)]


def _features(context: Context, rate: float) -> float:
    encodes, clips = len(feature.Settings.of(context.policy).crf), _clips(context, context.profile.frames)
    a_pixel = (encodes + 1) / feature.EVERY * rate + encodes * PLAIN_ENCODE
    return sum(pixels for _, pixels in clips) * a_pixel


def _steered(context: Context, rate: float) -> float:
    settings = roi.Settings.of(context.policy)
    clips = _clips(context, roi.frames_of(settings, context.profile))
    arms, strengths = 3, 2 + len(settings.budgets)
    encodes = (arms * strengths + 1) * len(settings.crf)
    maps = strengths * len(settings.crf) * MAP_SIDE**2 / MEGAPIXEL * rate
    return sum(encodes * (ROI_ENCODE[0] + ROI_ENCODE[1] * pixels) + maps * frames for frames, pixels in clips)


def _costs(context: Context, rate: float) -> float:
    pixels = sum(height * width for height, width in cost.Settings.of(context.policy).sizes) / MEGAPIXEL
    return (context.profile.rounds + 1) * pixels * rate


def _facts(context: Context, rate: float) -> float:
    return sum(height * width for height, width in contract.Settings.of(context.policy).sizes) / MEGAPIXEL * rate


SECONDS: dict[str, Callable[[Context, float], float]] = {
    contract.NAME: _facts,
    accuracy.NAME: _pictures,
    feature.NAME: _features,
    roi.NAME: _steered,
    cost.NAME: _costs,
}
