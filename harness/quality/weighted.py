"""Quality where it matters: PSNR and SSIM weighted by a mask or map, and clips blended so that VMAF sees the region."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import uniform_filter

from harness.errors import InputError
from harness.media.frames import Frame

SSIM_WINDOW = 7
CEILING_DB = 100.0
_ROWS = 64  # of a frame at a time


@dataclass(frozen=True)
class WeightedSums:
    """Sums over frames; adding two is measuring both sets of frames."""

    weight: float = 0.0
    squares: float = 0.0
    similarity: float = 0.0
    peak: float = 255.0

    def __add__(self, other: WeightedSums) -> WeightedSums:
        """Sums of both."""
        return WeightedSums(
            self.weight + other.weight,
            self.squares + other.squares,
            self.similarity + other.similarity,
            other.peak,
        )

    @property
    def psnr(self) -> float | None:
        """dB of the weighted mean squared error over all frames, at most 100; None without any weight."""
        if not self.weight:
            return None
        if not self.squares:
            return CEILING_DB
        return float(min(CEILING_DB, 10 * np.log10(self.peak**2 * self.weight / self.squares)))

    @property
    def ssim(self) -> float | None:
        """Weighted mean of the SSIM map over all frames; None without any weight."""
        return self.similarity / self.weight if self.weight else None


def weighted_sums(reference: Frame, distorted: Frame, weights: list[np.ndarray]) -> list[WeightedSums]:
    """Luma errors under each of `weights` `[H, W]`, non-negative; `InputError` when sizes or depths differ."""
    return _in_bands(reference, distorted, weights, ssim_map)


def weighted_errors(reference: Frame, distorted: Frame, weights: list[np.ndarray]) -> list[WeightedSums]:
    """As `weighted_sums`, for PSNR alone: the similarity is 0."""
    return _in_bands(reference, distorted, weights, lambda first, second, peak: np.zeros_like(first))


def _in_bands(
    reference: Frame,
    distorted: Frame,
    weights: list[np.ndarray],
    similar: Callable[[np.ndarray, np.ndarray, float], np.ndarray],
) -> list[WeightedSums]:
    """Sums over bands of rows, each seen with what its windows reach: no array is as large as a frame."""
    if reference.y.shape != distorted.y.shape or reference.bit_depth != distorted.bit_depth:
        raise InputError(
            f"reference is {reference.y.shape} of {reference.bit_depth} bits, distorted {distorted.y.shape} of "
            f"{distorted.bit_depth} (must be equal)"
        )
    peak, sums = float((1 << reference.bit_depth) - 1), [WeightedSums()] * len(weights)
    for start in range(0, reference.height, _ROWS):
        top = max(0, start - SSIM_WINDOW // 2)
        seen = slice(top, start + _ROWS + SSIM_WINDOW // 2)
        first, second = (frame.y[seen].astype(np.float32) for frame in (reference, distorted))
        own = slice(start - top, start - top + _ROWS)
        similarity, squares = similar(first, second, peak)[own], (first - second)[own] ** 2
        for place, weight in enumerate(weights):
            part = weight[start : start + _ROWS]
            weighed = part, part * squares, part * similarity
            total, error, alike = (float(each.sum(dtype=np.float64)) for each in weighed)
            sums[place] += WeightedSums(total, error, alike, peak)
    return sums


def ssim_map(first: np.ndarray, second: np.ndarray, peak: float) -> np.ndarray:
    """SSIM (Wang et al. 2004) of every pixel, float32 `[H, W]`, with a uniform 7x7 window and sample covariances.

    The same as scikit-image's `structural_similarity(full=True)`.
    """
    mean_first, mean_second = uniform_filter(first, SSIM_WINDOW), uniform_filter(second, SSIM_WINDOW)
    unbiased = SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1)
    var_first = unbiased * (uniform_filter(first * first, SSIM_WINDOW) - mean_first**2)
    var_second = unbiased * (uniform_filter(second * second, SSIM_WINDOW) - mean_second**2)
    covariance = unbiased * (uniform_filter(first * second, SSIM_WINDOW) - mean_first * mean_second)
    small, smaller = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    above = (2 * mean_first * mean_second + small) * (2 * covariance + smaller)
    result: np.ndarray = above / ((mean_first**2 + mean_second**2 + small) * (var_first + var_second + smaller))
    return result


def region_of(reference: Frame, distorted: Frame, mask: np.ndarray) -> Frame:
    """The distorted frame with everything outside `mask` (bool `[H, W]`) replaced by the reference.

    VMAF of such frames against the reference is ROI-VMAF: only the region can lose.
    """

    def mixed(there: np.ndarray | None, here: np.ndarray | None) -> np.ndarray | None:
        if there is None or here is None:
            return None
        down, across = -(-mask.shape[0] // here.shape[0]), -(-mask.shape[1] // here.shape[1])
        return np.where(mask[::down, ::across], here, there)

    y = mixed(reference.y, distorted.y)
    assert y is not None
    return replace(distorted, y=y, u=mixed(reference.u, distorted.u), v=mixed(reference.v, distorted.v))
