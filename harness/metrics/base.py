"""What every measure shares: one prepared image, what it says, and sums over images that add exactly.

A measure is two functions. `reading(sample)` is what one image says: numbers and curves by key, NaN where undefined.
`headline(means)` is what a set says, and reads nothing but means over images. So shards add up to the whole,
and a bootstrap interval is the same `headline` on resampled means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np
from PIL import Image

from harness.errors import InputError
from harness.metrics import loops
from harness.metrics.loops import sooner

LEVELS = 256
THRESHOLDS = np.arange(LEVELS) / (LEVELS - 1)
EPS = np.spacing(1.0)
_ABOVE_HALF = float(np.nextafter(0.5, 1))

Reading = dict[str, float | np.ndarray]
Means = Mapping[str, np.ndarray]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Metric:
    """One number of a set: its key in tables, which way is better, and the reading that it is the mean of.

    `higher_is_better` is None for what has no better or worse, such as a threshold; `per_image` is None for what is no
    mean of one number an image, such as the maximum of a mean curve.
    """

    key: str
    higher_is_better: bool | None = True
    per_image: str | None = None

    def gain(self, before: float, after: float) -> float:
        """How much better `after` is; `InputError` for a number without a direction.

        >>> Metric("mae_mean", higher_is_better=False, per_image="mae").gain(0.2, 0.05)
        0.15000000000000002
        """
        return self.sign * (after - before)

    @property
    def sign(self) -> float:
        """1 where more is better, -1 where less is; `InputError` for a number without a direction."""
        if self.higher_is_better is None:
            raise InputError(f"{self.key} has no better or worse (allowed: metrics with a direction)")
        return 1.0 if self.higher_is_better else -1.0


class Measure(Protocol):
    """What a module of this package offers."""

    @property
    def METRICS(self) -> tuple[Metric, ...]:
        """Every key that `headline` gives, once."""
        ...

    def reading(self, sample: Sample) -> Reading:
        """Numbers and curves of one image; NaN marks an undefined number."""
        ...

    def headline(self, means: Means) -> dict[str, np.ndarray]:
        """Numbers of a set from means over its images; leading axes of the means (resamples) are kept."""
        ...


@dataclass(frozen=True)
class Truth:
    """A ground-truth mask, bool `[H, W]`; what only depends on it is shared by all the maps compared with it."""

    mask: np.ndarray
    _found: dict[Callable, object] = field(default_factory=dict, repr=False, compare=False)

    def once(self, find: Callable[[np.ndarray], Found]) -> Found:
        """What `find` makes of the mask, made the first time it is asked for."""
        if find not in self._found:
            self._found[find] = find(self.mask)
        return self._found[find]  # type: ignore[return-value]

    @cached_property
    def count(self) -> int:
        """Foreground pixels."""
        return int(np.count_nonzero(self.mask))


@dataclass(frozen=True)
class Quadrants:
    """A mask parted at its object's centroid, above and below `row`, left and right of `column`.

    `counts` `[2, 2]`: the object's pixels in each, the upper ones first.
    """

    row: int
    column: int
    counts: np.ndarray


def quadrants(mask: np.ndarray) -> Quadrants:
    """The quadrants of a mask; one without an object is parted at its first pixel."""
    rows = np.count_nonzero(mask, axis=1)
    count = max(int(rows.sum()), 1)
    row = int(np.round(rows @ np.arange(len(rows)) / count)) + 1
    bits = mask.view(np.uint8)
    above, below = (np.add.reduce(part, axis=0, dtype=np.int32) for part in (bits[:row], bits[row:]))
    column = int(np.round((above + below) @ np.arange(len(above)) / count)) + 1
    counts = [[int(part[:column].sum()), int(part[column:].sum())] for part in (above, below)]
    return Quadrants(row, column, np.array(counts))


@dataclass(frozen=True)
class Sample:
    """A saliency map beside its truth: float64 `[H, W]` in [0, 1], with everything several measures need."""

    values: np.ndarray
    truth: Truth
    low: float
    high: float

    @classmethod
    def of(
        cls, saliency: np.ndarray, truth: Truth | np.ndarray, minmax: bool = False, by_maximum: bool = False
    ) -> Sample:
        """Check a map (uint8 `[H, W]`, or float in [0, 1]) and prepare it.

        `minmax` stretches each map to [0, 1], as PySODMetrics does; a flat map stays as it is. `by_maximum` divides
        each by its maximum, as SalMetric's successors do; a black map stays as it is.
        Raises `InputError` for other shapes, types, NaN, and values outside [0, 1].
        """
        truth = truth if isinstance(truth, Truth) else Truth(truth)
        if truth.mask.dtype != bool or truth.mask.ndim != 2 or not truth.mask.size:
            raise InputError(f"truth is {truth.mask.dtype} {truth.mask.shape} (allowed: bool [H, W])")
        if saliency.shape != truth.mask.shape:
            raise InputError(f"map is {_size(saliency)} and its truth {_size(truth.mask)} (must be equal)")
        if saliency.dtype != np.uint8 and saliency.dtype.kind != "f":
            raise InputError(f"map is {saliency.dtype} (allowed: uint8, or float in [0, 1])")
        low, high = float(saliency.min()), float(saliency.max())  # before it is widened: twice as fast
        bytewise = saliency.dtype == np.uint8
        if bytewise:
            low, high = low / 255, high / 255
        if not (low >= 0 and high <= 1):  # false for NaN too
            found = "NaN" if np.isnan(low) else f"values from {low:.4g} to {high:.4g}"
            raise InputError(f"map holds {found} (allowed: 0 to 1)")
        values = (
            THRESHOLDS.copy() if bytewise else saliency.astype(np.float64, order="C")
        )  # of each level, of each pixel
        if minmax and high > low:
            values -= low
            values /= high - low
            low, high = 0.0, 1.0
        elif by_maximum and high > 0:
            values /= high
            low, high = low / high, 1.0
        return cls(_looked_up(saliency, values) if bytewise else values, truth, low, high)

    @cached_property
    def mean(self) -> float:
        """Mean of the map."""
        return float(self.values.mean())

    @cached_property
    def columns(self) -> np.ndarray:
        """Sums down each column above the truth's centroid and from it on, float64 `[2, 4, W]`.

        Of the values, their squares, the values on the foreground, and the squares of how far they are from the mean.
        """
        return _columns(self.values, self.truth.mask, self.truth.once(quadrants).row, self.mean)

    @cached_property
    def inside(self) -> np.ndarray:
        """Map values on the truth's foreground, `[count]`."""
        return self.values[self.truth.mask]

    @cached_property
    def histograms(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixels per 8-bit level `floor(255 v)`, of the foreground and of the background: int64 `[256]` each."""
        background, foreground = _tally(self.values, self.truth.mask)
        return foreground, background

    @cached_property
    def above(self) -> tuple[np.ndarray, np.ndarray]:
        """Foreground and background pixels at or above each of the 256 levels: int64 `[256]` each."""
        foreground, background = self.histograms
        return foreground[::-1].cumsum()[::-1], background[::-1].cumsum()[::-1]

    @cached_property
    def above_half(self) -> tuple[int, int]:
        """Foreground and background pixels strictly above 0.5."""
        hits, all_above = _passing(self.values, self.truth.mask, _ABOVE_HALF)
        return int(hits), int(all_above - hits)

    @cached_property
    def above_adaptive(self) -> tuple[int, int]:
        """Foreground and background pixels at or above `min(2 mean, 1)`."""
        hits, all_above = _passing(self.values, self.truth.mask, min(2 * self.mean, 1.0))
        return int(hits), int(all_above - hits)


@sooner(loops.looked_up)
def _looked_up(levels: np.ndarray, values: np.ndarray) -> np.ndarray:
    found: np.ndarray = values[levels]
    return found


@sooner(loops.passing)
def _passing(values: np.ndarray, mask: np.ndarray, threshold: float) -> tuple[int, int]:
    """Pixels at or above a threshold: of the foreground, and of all."""
    above = values >= threshold
    return int(np.count_nonzero(above & mask)), int(np.count_nonzero(above))


@sooner(loops.columns)
def _columns(values: np.ndarray, mask: np.ndarray, row: int, mean: float) -> np.ndarray:
    found = []
    for part, true in ((values[:row], mask[:row]), (values[row:], mask[row:])):
        sums, work = [by_column(part)], part * part
        sums.append(by_column(work))
        sums.append(by_column(np.multiply(part, true, out=work)))
        np.subtract(part, mean, out=work)
        sums.append(by_column(np.square(work, out=work)))
        found.append(sums)
    return np.array(found)


def by_column(values: np.ndarray) -> np.ndarray:
    """Sums down the columns of `[H, W]`, each from the top to the bottom: `[W]`."""
    if values.shape[1] == 1:  # whose sum NumPy would split
        return np.add.reduce(np.repeat(values, 2, axis=1), axis=0)[:1]
    return np.add.reduce(values, axis=0)


@sooner(loops.tally)
def _tally(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Pixels per 8-bit level `floor(255 v)` of the background and of the foreground: int64 `[2, 256]`."""
    levels = Image.fromarray((values * 255).astype(np.uint8))
    foreground = np.array(levels.histogram(Image.fromarray(mask.view(np.uint8) * np.uint8(255))))
    return np.array([np.array(levels.histogram()) - foreground, foreground])


def _size(array: np.ndarray) -> str:
    return "x".join(map(str, array.shape[::-1]))


def ratio(numerator: np.ndarray | float, denominator: np.ndarray | float) -> np.ndarray:
    """Division where 0/0 is 0, the field's convention for precision, recall, F and IoU."""
    numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    return np.divide(numerator, denominator, out=np.zeros(np.shape(denominator)), where=denominator != 0)


_ONE = 2.0**36  # of the fixed-point sums: steps of 1.5e-11, room for 10**8


@dataclass(frozen=True)
class Sums:
    """Totals of readings in fixed point (int64): they add without rounding, in any order and any sharding.

    >>> a, b = Sums.of({"mae": 0.1}), Sums.of({"mae": float("nan")})
    >>> (a + b).images, (a + b).undefined("mae"), round(float((a + b).means()["mae"]), 9)
    (2, 1, 0.1)
    """

    images: int = 0
    totals: Mapping[str, np.ndarray] = field(default_factory=dict)
    defined: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, reading: Reading) -> Sums:
        """The sums of one image."""
        totals, defined = {}, {}
        for key, value in reading.items():
            number = np.asarray(value, np.float64)
            known = not np.isnan(number).any()
            totals[key] = np.rint(number * _ONE).astype(np.int64) if known else np.zeros(number.shape, np.int64)
            defined[key] = int(known)
        return cls(1, totals, defined)

    @classmethod
    def over(cls, readings: Iterable[Reading]) -> Sums:
        """The sums of many images."""
        return sum(map(cls.of, readings), cls())

    def __add__(self, other: Sums) -> Sums:
        if not self.images or not other.images:
            return other if not self.images else self
        if self.totals.keys() != other.totals.keys():
            raise InputError(f"sums of different measures: {sorted(self.totals.keys() ^ other.totals.keys())}")
        totals = {key: self.totals[key] + other.totals[key] for key in self.totals}
        defined = {key: self.defined[key] + other.defined[key] for key in self.defined}
        return Sums(self.images + other.images, totals, defined)

    def undefined(self, key: str) -> int:
        """Images where `key` has no value."""
        return self.images - self.defined[key]

    def means(self) -> Means:
        """Mean over the images where defined, by key; NaN where no image is."""
        return {
            key: total / _ONE / self.defined[key] if self.defined[key] else np.full(total.shape, np.nan)
            for key, total in self.totals.items()
        }
