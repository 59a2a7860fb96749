"""How a stream of maps moves: change from frame to frame, beside the motion of the true mask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Change:
    """From one frame to the next: mean absolute difference in [0, 1], over the frame.

    `map` is the saliency map's, `mask` the true mask's, `still` the map's over pixels whose mask did not change:
    what moves there is flicker, and flicker is what an encoder steered by the map shows.
    """

    map: float
    mask: float
    still: float


def changes(maps: Iterable[np.ndarray], masks: Iterable[np.ndarray]) -> Iterator[Change]:
    """One `Change` per pair of neighbouring frames, from float maps and bool masks `[H, W]`.

    >>> steady = [np.zeros((2, 2)), np.full((2, 2), 0.5)]
    >>> list(changes(steady, [np.eye(2, dtype=bool)] * 2))
    [Change(map=0.5, mask=0.0, still=0.5)]
    """
    before: tuple[np.ndarray, np.ndarray] | None = None
    for values, mask in zip(maps, masks, strict=True):
        if before is not None:
            moved, turned = np.abs(values - before[0]), mask != before[1]
            still = float(moved[~turned].mean()) if not turned.all() else 0.0
            yield Change(float(moved.mean()), float(turned.mean()), still)
        before = values, mask
