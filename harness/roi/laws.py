"""From what a map says of the blocks to what the strength is multiplied with: the law decides more than the map does.

At equal cost in whole-frame VMAF a sharp map by itself buys its gain from the rest of the frame; what people look at
without any map, the centre, pays part of it back. The study of laws: results/roi/laws.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter

from harness.errors import InputError
from harness.models.sources import bell

MOST_HELD = 250  # frames: ten seconds
ByFrame = Callable[[np.ndarray], np.ndarray]
"""Block means of one frame's map `[rows, columns]` in [0, 1] to weights of the same shape; called frame after frame."""


@dataclass(frozen=True)
class Law:
    """A law and its one number: `map`, `centre:SHARE`, `past:SHARE`, `power:EXPONENT` or `grow:BLOCKS`.

    With `/N` behind it a map is made of every `N`th frame, `every`, and at cuts, and holds in between.
    Raises `InputError` for any other.

    >>> Law.parse("centre:0.5").begin()(np.zeros((3, 3))).round(2)
    array([[0.08, 0.21, 0.08],
           [0.21, 0.5 , 0.21],
           [0.08, 0.21, 0.08]])
    """

    kind: str = "centre"
    value: float = 0.5
    every: int = 1

    def __post_init__(self) -> None:
        if self.kind not in _LAWS:
            raise InputError(f"law {self.kind!r} (allowed: {ALLOWED})")
        low, high, _ = _LAWS[self.kind]
        if not low <= self.value <= high:
            raise InputError(f"law {self} (allowed: {self.kind}:{low:g} to {self.kind}:{high:g})")
        if not 1 <= self.every <= MOST_HELD:
            raise InputError(f"a map every {self.every} frames (allowed: 1 to {MOST_HELD})")

    @classmethod
    def parse(cls, text: str) -> Law:
        """Read `KIND` or `KIND:NUMBER`, and `/N` behind either; `InputError` says what is allowed."""
        law, slash, every = text.partition("/")
        kind, colon, number = law.partition(":")
        try:
            held = int(every) if slash else 1
            return cls(kind, 0.0, held) if kind == "map" and not colon else cls(kind, float(number), held)
        except ValueError as error:
            raise InputError(f"law {text!r} (allowed: {ALLOWED})") from error

    def begin(self) -> ByFrame:
        """The law at the first frame of a clip."""
        return _LAWS[self.kind][2](self.value)

    def __str__(self) -> str:
        law = self.kind if self.kind == "map" else f"{self.kind}:{self.value:g}"
        return law if self.every == 1 else f"{law}/{self.every}"


def _as_it_is(_: float) -> ByFrame:
    return lambda means: means


def _centre(share: float) -> ByFrame:
    return lambda means: (1 - share) * means + share * np.outer(*map(bell, means.shape))


def _past(share: float) -> ByFrame:
    total, count = np.zeros(()), 0

    def blended(means: np.ndarray) -> np.ndarray:
        nonlocal total, count
        total, count = total + means, count + 1
        return (1 - share) * means + share * total / count

    return blended


def _power(exponent: float) -> ByFrame:
    return lambda means: np.clip(means, 0, 1) ** exponent


def _grow(blocks: float) -> ByFrame:
    def grown(means: np.ndarray) -> np.ndarray:
        found: np.ndarray = maximum_filter(means, size=2 * round(blocks) + 1, mode="nearest")
        return found

    return grown


_LAWS: Mapping[str, tuple[float, float, Callable[[float], ByFrame]]] = {
    "map": (0, 0, _as_it_is),
    "centre": (0, 1, _centre),
    "past": (0, 1, _past),
    "power": (0.1, 4, _power),
    "grow": (1, 8, _grow),
}
ALLOWED = (
    "map, centre:0.5 (this share of the centre prior), past:0.5 (of the mean of the clip's maps so far), "
    "power:0.5 (of the map), grow:1 (by so many blocks); map/4: a map of every fourth frame"
)
MAP = Law("map", 0.0)
