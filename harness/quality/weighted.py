"""Quality where it matters: PSNR and SSIM weighted by a mask or map, and clips blended so that VMAF sees the region."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import uniform_filter

from harness.errors import InputError
from harness.media.frames import Frame

SSIM_WINDOW = 7
CEILING_DB = 100.0


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
    first, second, peak = _lumas(reference, distorted)
    return _summed((first - second) ** 2, ssim_map(first, second, peak), weights, peak)


def weighted_errors(reference: Frame, distorted: Frame, weights: list[np.ndarray]) -> list[WeightedSums]:
    """As `weighted_sums`, for PSNR alone: the similarity is 0."""
    first, second, peak = _lumas(reference, distorted)
    return _summed((first - second) ** 2, np.zeros((1, 1), np.float32), weights, peak)


def _lumas(reference: Frame, distorted: Frame) -> tuple[np.ndarray, np.ndarray, float]:
    if reference.y.shape != distorted.y.shape or reference.bit_depth != distorted.bit_depth:
        raise InputError(
            f"reference is {reference.y.shape} of {reference.bit_depth} bits, distorted {distorted.y.shape} of "
            f"{distorted.bit_depth} (must be equal)"
        )
    peak = float((1 << reference.bit_depth) - 1)
    return reference.y.astype(np.float32), distorted.y.astype(np.float32), peak


def _summed(squares: np.ndarray, similarity: np.ndarray, weights: list[np.ndarray], peak: float) -> list[WeightedSums]:
    return [
        WeightedSums(
            float(weight.sum(dtype=np.float64)),
            float((weight * squares).sum(dtype=np.float64)),
            float((weight * similarity).sum(dtype=np.float64)),
            peak,
        )
        for weight in weights
    ]


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
