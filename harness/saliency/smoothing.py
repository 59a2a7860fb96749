"""A steady map stream: maps are averaged over time, and start afresh at a scene cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CUT = 0.12  # mean change of luma, of full scale, between two frames: above it no camera move goes on


@dataclass
class Cuts:
    """Scene cuts of a clip, frame after frame: where luma changes by more than `least` of full scale on average."""

    least: float = CUT
    _luma: np.ndarray | None = None

    def add(self, luma: np.ndarray, peak: int) -> bool:
        """Whether a shot begins with the next frame, whose `luma` `[H, W]` is in 0..`peak`; with the first one, yes."""
        small = luma[::8, ::8].astype(np.float32) / peak
        steady = self._luma is not None and float(np.abs(small - self._luma).mean()) < self.least
        self._luma = small
        return not steady


@dataclass
class Smoother:
    """Exponential average of consecutive maps; `weight` of the newest map is in (0, 1], 1 keeps each as it is."""

    weight: float = 0.5
    _map: np.ndarray | None = None

    def add(self, saliency: np.ndarray, cut: bool) -> np.ndarray:
        """The smoothed map `[H, W]` after one more; at a cut the average starts afresh."""
        if self._map is not None and not cut:
            saliency = self._map + np.float32(self.weight) * (saliency - self._map)
        self._map = saliency
        return saliency
