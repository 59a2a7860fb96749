"""BD-rate against known curves; weighted PSNR and SSIM against plain formulas."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import InconclusiveError, InputError
from harness.media.frames import Frame
from harness.quality.bdrate import bd_rate
from harness.quality.weighted import WeightedSums, region_of, ssim_map, weighted_sums

RATES, QUALITY = [100.0, 200.0, 400.0, 800.0], [30.0, 33.0, 36.0, 39.0]


def frame_of(y: np.ndarray) -> Frame:
    half = np.full((y.shape[0] // 2, y.shape[1] // 2), 128, np.uint8)
    return Frame(0, 0.0, y, half, half, "yuv420p", 8, "420")


def test_bd_rate_of_a_scaled_rate_is_the_scale() -> None:
    assert bd_rate(RATES, QUALITY, [1.2 * rate for rate in RATES], QUALITY) == pytest.approx(20)
    assert bd_rate(RATES, QUALITY, RATES, QUALITY) == pytest.approx(0)
    assert bd_rate(RATES[::-1], QUALITY[::-1], [0.5 * rate for rate in RATES], QUALITY) == pytest.approx(-50)


def test_bd_rate_refuses_what_it_cannot_answer() -> None:
    with pytest.raises(InputError, match="4 or more"):
        bd_rate(RATES[:3], QUALITY[:3], RATES, QUALITY)
    with pytest.raises(InconclusiveError, match="does not rise"):
        bd_rate(RATES, QUALITY, RATES, [30, 33, 32, 39])
    with pytest.raises(InconclusiveError, match="share"):
        bd_rate(RATES, QUALITY, RATES, [quality + 8 for quality in QUALITY])


def test_weighted_psnr_sees_only_its_weights_and_sums_add() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 200, (32, 48)).astype(np.uint8)
    worse = y.copy()
    worse[:, 24:] += 10
    left = np.zeros((32, 48), np.float32)
    left[:, :24] = 1
    inside, outside, whole = weighted_sums(frame_of(y), frame_of(worse), [left, 1 - left, np.ones_like(left)])
    assert inside.psnr == 100 and outside.psnr == pytest.approx(10 * np.log10(255**2 / 100))
    assert (inside + outside).psnr == pytest.approx(whole.psnr) and (inside + outside).ssim == pytest.approx(whole.ssim)
    assert WeightedSums().psnr is None and WeightedSums().ssim is None


def test_ssim_of_equal_pictures_is_one_and_matches_its_formula_in_a_window() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.uniform(0, 255, (2, 15, 15)).astype(np.float32)
    assert ssim_map(first, first, 255.0) == pytest.approx(np.ones((15, 15)), abs=1e-4)
    a, b = first[4:11, 4:11].astype(float), second[4:11, 4:11].astype(float)
    one, two = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    covariance = np.cov(a.ravel(), b.ravel())
    wanted = (2 * a.mean() * b.mean() + one) * (2 * covariance[0, 1] + two)
    wanted /= (a.mean() ** 2 + b.mean() ** 2 + one) * (covariance[0, 0] + covariance[1, 1] + two)
    assert ssim_map(first, second, 255.0)[7, 7] == pytest.approx(wanted, abs=1e-4)


def test_the_region_keeps_the_distorted_inside_and_the_reference_outside() -> None:
    mask = np.zeros((8, 8), bool)
    mask[:4] = True
    mixed = region_of(frame_of(np.zeros((8, 8), np.uint8)), frame_of(np.full((8, 8), 9, np.uint8)), mask)
    assert (mixed.y[:4] == 9).all() and (mixed.y[4:] == 0).all()
