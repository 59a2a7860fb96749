"""A steady map stream: maps are averaged over time, and start afresh at a scene cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CUT = 0.12  # mean change of luma, of full scale, between two frames: above it no camera move goes on


@dataclass
class Smoother:
    """Exponential average of consecutive maps; `weight` of the newest map is in (0, 1], 1 keeps each as it is."""

    weight: float = 0.5
    cut: float = CUT
    _map: np.ndarray | None = None
    _luma: np.ndarray | None = None

    def add(self, saliency: np.ndarray, luma: np.ndarray, peak: int) -> np.ndarray:
        """The smoothed map `[H, W]` after one more frame with its `luma` plane in 0..`peak`."""
        small = luma[::8, ::8].astype(np.float32) / peak
        steady = self._luma is not None and float(np.abs(small - self._luma).mean()) < self.cut
        if steady and self._map is not None:
            saliency = self._map + np.float32(self.weight) * (saliency - self._map)
        self._map, self._luma = saliency, small
        return saliency
