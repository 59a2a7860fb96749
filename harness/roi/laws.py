"""From what a map says of the blocks to what the strength is multiplied with: the law decides more than the map does.

At equal cost in whole-frame VMAF a sharp map by itself buys its gain from the rest of the frame; what people look at
without any map, the centre, pays part of it back. The study of laws: results/roi/laws.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter

from harness.errors import InputError
from harness.models.sources import CENTRE_SIGMA, bell
from harness.roi.offsets import block_means, most_salient

MOST_HELD = 250  # frames: ten seconds
MOST_STEPS = 4
Busy = Callable[[], np.ndarray]
ByFrame = Callable[[np.ndarray, Busy], np.ndarray]
"""Block means of one frame's map `[rows, columns]` in [0, 1] to weights of the same shape; called frame after frame.

The second argument gives how busy each block is, `busyness`, to those laws that ask for it.
"""


@dataclass(frozen=True)
class Law:
    """Steps from map to weights, each by its name and one number, applied one after the other; none is the map itself.

    With `/N` behind them a map is made of every `N`th frame, `every`, and at cuts, and holds in between.
    Raises `InputError` for any other.

    >>> Law.parse("centre:0.5").begin()(np.zeros((3, 3)), lambda: np.zeros((3, 3))).round(2)
    array([[0.08, 0.21, 0.08],
           [0.21, 0.5 , 0.21],
           [0.08, 0.21, 0.08]])
    """

    steps: tuple[tuple[str, float], ...] = ()
    every: int = 1

    def __post_init__(self) -> None:
        if len(self.steps) > MOST_STEPS:
            raise InputError(f"law {self} has {len(self.steps)} steps (allowed: at most {MOST_STEPS})")
        for kind, value in self.steps:
            if kind not in _LAWS:
                raise InputError(f"law {kind!r} (allowed: {ALLOWED})")
            low, high, _ = _LAWS[kind]
            if not low <= value <= high:
                raise InputError(f"law {kind}:{value:g} (allowed: {kind}:{low:g} to {kind}:{high:g})")
        if not 1 <= self.every <= MOST_HELD:
            raise InputError(f"a map every {self.every} frames (allowed: 1 to {MOST_HELD})")

    @classmethod
    def parse(cls, text: str) -> Law:
        """Read `map`, or `KIND:NUMBER` joined by `+`, and `/N` behind either; `InputError` says what is allowed."""
        laws, slash, every = text.partition("/")
        try:
            held = int(every) if slash else 1
            if laws == "map":
                return cls((), held)
            steps = [law.partition(":")[::2] for law in laws.split("+")]
            return cls(tuple((kind, float(number)) for kind, number in steps), held)
        except ValueError as error:
            raise InputError(f"law {text!r} (allowed: {ALLOWED})") from error

    def begin(self) -> ByFrame:
        """The law at the first frame of a clip."""
        begun = [_LAWS[kind][2](value) for kind, value in self.steps]

        def weights(means: np.ndarray, busy: Busy) -> np.ndarray:
            for step in begun:
                means = step(means, busy)
            return means

        return weights

    def __str__(self) -> str:
        law = "+".join(f"{kind}:{value:g}" for kind, value in self.steps) or "map"
        return law if self.every == 1 else f"{law}/{self.every}"


def busyness(luma: np.ndarray, peak: int, block: int) -> np.ndarray:
    """How busy each block of a frame is: log2 of its luma's variance, over that of full scale: `[rows, columns]`.

    Luma `[H, W]` is in 0..`peak`; below 1 of 8-bit full scale a variance counts as 1. In [0, 1].
    """
    scaled = luma * (255 / peak)
    variance = block_means(scaled**2, block) - block_means(scaled, block) ** 2
    return np.log2(np.maximum(variance, 1)) / np.log2((255 / 2) ** 2)


def _centre(share: float) -> ByFrame:
    return lambda weights, _: (1 - share) * weights + share * np.outer(*map(bell, weights.shape))


def _near(share: float) -> ByFrame:
    def mixed(weights: np.ndarray, _: Busy) -> np.ndarray:
        around = gaussian_filter(weights, [CENTRE_SIGMA * side for side in weights.shape], mode="constant")
        highest = float(around.max())
        return weights if highest <= 0 else (1 - share) * weights + share * around / highest

    return mixed


def _past(share: float) -> ByFrame:
    total, count = np.zeros(()), 0

    def blended(weights: np.ndarray, _: Busy) -> np.ndarray:
        nonlocal total, count
        total, count = total + weights, count + 1
        return (1 - share) * weights + share * total / count

    return blended


def _slow(frames: float) -> ByFrame:
    last: np.ndarray | None = None

    def averaged(weights: np.ndarray, _: Busy) -> np.ndarray:
        nonlocal last
        last = weights if last is None else last + (weights - last) / frames
        return last

    return averaged


def _times(factor: float) -> ByFrame:
    return lambda weights, _: factor * weights


def _busy(share: float) -> ByFrame:
    return lambda weights, busy: weights + share * busy()


def _power(exponent: float) -> ByFrame:
    return lambda weights, _: np.clip(weights, 0, 1) ** exponent


def _log(times: float) -> ByFrame:
    """Equal slopes where an error counts up to `times` more in the map: QP goes with the logarithm of that weight."""
    return lambda weights, _: np.log1p((times - 1) * np.clip(weights, 0, 1)) / np.log(times)


def _rank(share: float) -> ByFrame:
    def mixed(weights: np.ndarray, _: Busy) -> np.ndarray:
        order = np.sort(weights, axis=None)
        ranks = np.searchsorted(order, weights, "left") + np.searchsorted(order, weights, "right")
        return (1 - share) * weights + share * ranks / (2 * weights.size)

    return mixed


def _top(share: float) -> ByFrame:
    def two(weights: np.ndarray, _: Busy) -> np.ndarray:
        return most_salient(weights, np.ones_like(weights), share).astype(np.float64)

    return two


def _above(most: float) -> ByFrame:
    return lambda weights, _: np.minimum(weights, weights.mean() + most)


def _below(most: float) -> ByFrame:
    return lambda weights, _: np.maximum(weights, weights.mean() - most)


def _grow(blocks: float) -> ByFrame:
    def grown(weights: np.ndarray, _: Busy) -> np.ndarray:
        found: np.ndarray = maximum_filter(weights, size=2 * round(blocks) + 1, mode="nearest")
        return found

    return grown


def _soft(blocks: float) -> ByFrame:
    def softened(weights: np.ndarray, _: Busy) -> np.ndarray:
        found: np.ndarray = gaussian_filter(weights, blocks, mode="nearest")
        return found

    return softened


_LAWS: Mapping[str, tuple[float, float, Callable[[float], ByFrame]]] = {
    "centre": (0, 1, _centre),
    "near": (0, 1, _near),
    "past": (0, 1, _past),
    "slow": (1, 250, _slow),
    "times": (0, 1, _times),
    "busy": (-2, 2, _busy),
    "power": (0.1, 4, _power),
    "log": (1.1, 1000, _log),
    "rank": (0, 1, _rank),
    "top": (0.01, 0.99, _top),
    "above": (0, 1, _above),
    "below": (0, 1, _below),
    "grow": (1, 8, _grow),
    "soft": (0.1, 8, _soft),
}
ALLOWED = (
    "map, centre:0.5 (this share of the centre prior), near:0.5 (of what lies near), past:0.5 (of the clip's mean "
    "so far), slow:8 (averaged over so many frames), busy:0.3 (more where luma is busy), power:0.5, log:5, rank:0.5 "
    "(of its rank), top:0.25 (all or nothing), above:0.5, below:0.5 (no farther from the mean), grow:1, soft:1 "
    "(by so many blocks), times:0.5, joined by +; map/4: a map of every fourth frame"
)
MAP = Law()
