"""From a saliency map to one quantiser offset per block: block mean first, then a zero mean over the area."""

from __future__ import annotations

import bisect
import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from harness.errors import InputError
from harness.media.pictures import resized

FINEST_SHIFT = 1e-9  # in QP, of the search for the shift that makes offsets neutral
QP_PER_OCTAVE = 6.0  # H.264 and HEVC double their quantiser step, and about halve their bits, every 6 QP


@dataclass(frozen=True)
class Steps:
    """What an encoder can take, in QP: `low` to `high` in multiples of `step`, at most `levels` distinct values."""

    low: float = -26.0
    high: float = 26.0
    step: float = 1.0
    levels: int | None = None


@dataclass(frozen=True)
class Strength:
    """The plain knob: offsets run from `-qp` where saliency is 1 to `+qp` where it is 0, before the zero mean."""

    qp: float = 4.0

    def __post_init__(self) -> None:
        if not 0 < self.qp <= 26:
            raise InputError(f"strength {self.qp:g} (allowed: above 0, at most 26 QP)")

    def raw(self, means: np.ndarray, areas: np.ndarray) -> np.ndarray:
        """Offsets in QP before they are made neutral: `-qp * (2 s - 1)`; float `[rows, columns]`."""
        return -self.qp * (2 * means - 1)

    def at(self, frame: int) -> Strength:
        """The knob at a frame: this one."""
        return self

    def __str__(self) -> str:
        return f"strength:{self.qp:g}"


@dataclass(frozen=True)
class Shots:
    """A strength for every shot: `starts` are the numbers of their first frames, from 0 on and rising.

    >>> str(Shots.parse("0:3.5,120:1"))
    'strength:0:3.5,120:1'
    """

    starts: tuple[int, ...]
    strengths: tuple[Strength, ...]

    def __post_init__(self) -> None:
        rising = all(one < other for one, other in itertools.pairwise(self.starts))
        if not self.starts or self.starts[0] or not rising or len(self.starts) != len(self.strengths):
            raise InputError(f"strengths of shots from frames {self.starts} (allowed: from 0 on, rising: 0:3.5,120:1)")

    @classmethod
    def parse(cls, text: str) -> Shots:
        """Read `FRAME:QP,FRAME:QP …`; `InputError` says what is allowed."""
        try:
            pairs = [part.split(":") for part in text.split(",")]
            return cls(tuple(int(start) for start, _ in pairs), tuple(Strength(float(qp)) for _, qp in pairs))
        except ValueError as error:
            raise InputError(f"strength {text!r} (allowed: QP, auto, or FRAME:QP for shots: 0:3.5,120:1)") from error

    def at(self, frame: int) -> Strength:
        """The strength of the shot that a frame is in."""
        return self.strengths[bisect.bisect_right(self.starts, frame) - 1]

    def __str__(self) -> str:
        pairs = zip(self.starts, self.strengths, strict=True)
        return "strength:" + ",".join(f"{start}:{strength.qp:g}" for start, strength in pairs)


@dataclass(frozen=True)
class Share:
    """The other knob: the most salient `pixels` (share of the area) get `bits` (share of the bits).

    The step between inside and outside follows from bits halving every 6 QP, with the plain encode's bits taken as
    spread evenly over the area.
    """

    pixels: float
    bits: float

    def __post_init__(self) -> None:
        if not (0 < self.pixels < 1 and 0 < self.bits < 1):
            raise InputError(f"share {self.pixels:g}:{self.bits:g} (allowed: two shares, each between 0 and 1)")
        if self.bits <= self.pixels:
            raise InputError(f"share {self.pixels:g}:{self.bits:g} (allowed: more bits than pixels)")

    def raw(self, means: np.ndarray, areas: np.ndarray) -> np.ndarray:
        """Offsets in QP, two values: inside the most salient blocks (ties included), and 0 elsewhere."""
        odds = self.bits * (1 - self.pixels) / (self.pixels * (1 - self.bits))
        return np.where(most_salient(means, areas, self.pixels), -QP_PER_OCTAVE * np.log2(odds), 0.0)

    def at(self, frame: int) -> Share:
        """The knob at a frame: this one."""
        return self

    def __str__(self) -> str:
        return f"share:{self.pixels:g}:{self.bits:g}"


Knob = Strength | Share | Shots


def block_areas(height: int, width: int, block: int) -> np.ndarray:
    """Pixels of each block of the ceiling grid, `[ceil(H/block), ceil(W/block)]`; blocks at the edges are partial.

    >>> block_areas(1080, 1920, 16).shape
    (68, 120)
    """
    rows = np.minimum(block, height - np.arange(0, height, block))
    columns = np.minimum(block, width - np.arange(0, width, block))
    return np.outer(rows, columns).astype(np.float64)


def block_means(saliency: np.ndarray, block: int) -> np.ndarray:
    """Mean saliency `[H, W]` of each block of the ceiling grid, over the pixels that exist."""
    height, width = saliency.shape
    sums = np.add.reduceat(saliency.astype(np.float64), np.arange(0, height, block), axis=0)
    sums = np.add.reduceat(sums, np.arange(0, width, block), axis=1)
    return sums / block_areas(height, width, block)


def grid_means(saliency: np.ndarray, height: int, width: int, block: int) -> np.ndarray:
    """`block_means` of a map of any size, as if it were scaled to `height` x `width` (bilinear) first."""
    if saliency.shape == (height, width):
        return block_means(saliency, block)
    down, across = _weights(saliency.shape[0], height, block), _weights(saliency.shape[1], width, block)
    means: np.ndarray = across @ (down @ saliency.astype(np.float64)).T
    return np.round(means.T, 6)  # so that equal blocks stay equal


@functools.lru_cache(maxsize=8)
def _weights(length: int, scaled: int, block: int) -> csr_array:
    """What each of `length` samples adds to each block's mean once they are scaled: both steps are linear."""
    spread = resized(np.eye(length, dtype=np.float32), (scaled, length)).astype(np.float64)
    starts = np.arange(0, scaled, block)
    return csr_array(np.add.reduceat(spread, starts, axis=0) / np.minimum(block, scaled - starts)[:, None])


def merged_means(means: np.ndarray, height: int, width: int, block: int, into: int) -> np.ndarray:
    """Block means of a coarser grid, from those of a finer one; `into` is a multiple of `block`."""
    if into % block:
        raise InputError(f"blocks of {block} into blocks of {into} (allowed: a multiple)")
    areas, step = block_areas(height, width, block), into // block
    sums = means * areas
    for axis in (0, 1):
        sums = np.add.reduceat(sums, np.arange(0, means.shape[axis], step), axis=axis)
    return sums / block_areas(height, width, into)


def most_salient(means: np.ndarray, areas: np.ndarray, share: float) -> np.ndarray:
    """Blocks that make up the most salient `share` of the area, as a boolean grid; equal blocks stay together."""
    order = np.argsort(-means, axis=None, kind="stable")
    covered = np.cumsum(areas.ravel()[order])
    last = min(int(np.searchsorted(covered, share * covered[-1] * (1 - 1e-12))), order.size - 1)
    threshold = means.ravel()[order[last]]
    inside: np.ndarray = means >= threshold
    return inside if inside.mean() < 1 else means > threshold


def neutral(raw: np.ndarray, areas: np.ndarray, steps: Steps) -> np.ndarray:
    """Shift, clamp and quantise offsets so that their mean over the area is 0 to within half a step.

    Offsets that merely add up to a coarser picture would look like a saving; these redistribute.
    """
    step = steps.step
    while True:
        settled = _settled(raw, areas, steps, step)
        if steps.levels is None or np.unique(settled).size <= steps.levels:
            return settled
        step += steps.step


def _settled(raw: np.ndarray, areas: np.ndarray, steps: Steps, step: float) -> np.ndarray:
    low, high = np.ceil(steps.low / step) * step, np.floor(steps.high / step) * step

    def at(shift: float) -> np.ndarray:
        return np.round(np.clip(raw - shift, low, high) / step) * step + 0.0  # -0 becomes 0

    def mean(offsets: np.ndarray) -> float:
        return float((offsets * areas).sum() / areas.sum())

    def zero(offsets_at: Callable[[float], np.ndarray]) -> tuple[float, float]:
        left, right = float(raw.min()), float(raw.max())  # at `left` all offsets are >= 0, at `right` all are <= 0
        while right - left > FINEST_SHIFT:
            middle = (left + right) / 2
            left, right = (middle, right) if mean(offsets_at(middle)) > 0 else (left, middle)
        return left, right

    centre = mean(raw)
    if raw.min() - centre < low or raw.max() - centre > high:
        centre = zero(lambda shift: np.clip(raw - shift, low, high))[0]
    left, right = zero(at)
    return min((at(left), at(right), at(centre)), key=lambda offsets: abs(mean(offsets)))


def offsets_of(saliency: np.ndarray, knob: Strength | Share, block: int, steps: Steps) -> np.ndarray:
    """Offsets in QP for a map `[H, W]` in [0, 1]: `[ceil(H/block), ceil(W/block)]`, negative where bits should go."""
    height, width = saliency.shape
    areas = block_areas(height, width, block)
    return neutral(knob.raw(block_means(saliency, block), areas), areas, steps)
