"""Offsets: exact grids, a zero mean over the area, the encoder's steps; and rectangles that paint them back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from harness.errors import InputError
from harness.media.pictures import resized
from harness.roi.offsets import (
    Share,
    Steps,
    Strength,
    block_areas,
    block_means,
    grid_means,
    merged_means,
    most_salient,
    neutral,
    offsets_of,
)
from harness.roi.regions import Region, painted, regions_of, runs_of

MAPS = arrays.arrays(np.float64, st.tuples(st.integers(1, 70), st.integers(1, 70)), elements=st.floats(0, 1, width=32))
BLOCKS = st.sampled_from([8, 16, 32])


@given(MAPS, BLOCKS)
@pytest.mark.slow
def test_block_means_are_means_of_the_pixels_that_exist(saliency: np.ndarray, block: int) -> None:
    height, width = saliency.shape
    means = block_means(saliency, block)
    assert means.shape == (-(-height // block), -(-width // block))
    assert block_areas(height, width, block).sum() == height * width
    last = saliency[(means.shape[0] - 1) * block :, (means.shape[1] - 1) * block :]
    assert means[-1, -1] == pytest.approx(last.mean())


@given(MAPS, st.integers(1, 200), st.integers(1, 200), BLOCKS)
@pytest.mark.slow
def test_grid_means_are_block_means_of_the_scaled_map(
    saliency: np.ndarray, height: int, width: int, block: int
) -> None:
    scaled = resized(saliency.astype(np.float32), (height, width))
    assert np.allclose(grid_means(saliency, height, width, block), block_means(scaled, block), atol=2e-6)


@given(MAPS, st.sampled_from([1, 2, 4]))
@pytest.mark.slow
def test_merged_means_are_the_means_of_the_coarser_grid(saliency: np.ndarray, times: int) -> None:
    merged = merged_means(block_means(saliency, 8), *saliency.shape, 8, 8 * times)
    assert np.allclose(merged, block_means(saliency, 8 * times))


@given(MAPS, BLOCKS, st.floats(0.5, 12), st.sampled_from([0.25, 1.0]), st.sampled_from([None, 3, 4, 8]))
@pytest.mark.slow
def test_offsets_are_neutral_clamped_and_on_the_encoders_steps(
    saliency: np.ndarray, block: int, strength: float, step: float, levels: int | None
) -> None:
    steps = Steps(-6, 6, step, levels)
    offsets = offsets_of(saliency, Strength(strength), block, steps)
    areas = block_areas(*saliency.shape, block)
    assert offsets.min() >= -6 and offsets.max() <= 6
    assert np.array_equal(offsets / step, np.round(offsets / step))
    if levels is None:
        assert abs((offsets * areas).sum() / areas.sum()) <= step / 2 + 1e-9
    else:
        assert np.unique(offsets).size <= levels


@given(MAPS, BLOCKS)
@pytest.mark.slow
def test_more_saliency_never_gets_a_larger_offset(saliency: np.ndarray, block: int) -> None:
    means = block_means(saliency, block).ravel()
    offsets = offsets_of(saliency, Strength(4), block, Steps()).ravel()
    assert (np.diff(offsets[np.argsort(means)]) <= 0).all()


def test_a_flat_map_asks_for_nothing() -> None:
    assert not offsets_of(np.full((100, 90), 0.7), Strength(4), 16, Steps()).any()


def test_a_half_and_half_map_gets_the_strength_on_both_sides() -> None:
    saliency = np.zeros((64, 128))
    saliency[:, :64] = 1
    offsets = offsets_of(saliency, Strength(4), 16, Steps())
    assert set(offsets[:, :4].ravel()) == {-4} and set(offsets[:, 4:].ravel()) == {4}


def test_a_small_object_takes_bits_from_a_large_surround_without_shifting_the_frame() -> None:
    saliency = np.zeros((160, 160))
    saliency[:16, :16] = 1
    offsets = offsets_of(saliency, Strength(4), 16, Steps(step=0.25))
    assert offsets[0, 0] == -8 and offsets[5, 5] == 0


def test_partial_edge_blocks_weigh_as_much_as_their_pixels() -> None:
    raw = np.array([[-3.0, 3.0]])
    offsets = neutral(raw, np.array([[256.0, 32.0]]), Steps(step=0.01))
    assert (offsets * [[256, 32]]).sum() / 288 == pytest.approx(0, abs=0.005)


def test_share_gives_the_salient_pixels_their_bits_in_the_model_it_states() -> None:
    saliency = np.zeros((160, 160))
    saliency[:80, :80] = 1  # a quarter of the area
    offsets = offsets_of(saliency, Share(0.25, 0.4), 16, Steps(step=0.01))
    bits = 2 ** (-offsets / 6)
    assert bits[:5, :5].sum() / bits.sum() == pytest.approx(0.4, abs=0.002)


@given(MAPS, st.floats(0.05, 0.9))
@pytest.mark.slow
def test_most_salient_blocks_cover_the_share_unless_ties_decide(saliency: np.ndarray, share: float) -> None:
    means, areas = block_means(saliency, 8), block_areas(*saliency.shape, 8)
    inside = most_salient(means, areas, share)
    if 0 < inside.sum() < inside.size:
        assert means[inside].min() > means[~inside].max()


@pytest.mark.parametrize("bad", [0, -1, 27])
def test_strength_out_of_range_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match="allowed"):
        Strength(bad)


@pytest.mark.parametrize("bad", [(0.0, 0.5), (0.5, 1.0), (0.4, 0.3)])
def test_share_that_makes_no_sense_is_refused(bad: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="allowed"):
        Share(*bad)


GRIDS = arrays.arrays(
    np.float64, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(-3, 3).map(float)
)


@settings(max_examples=200)
@given(GRIDS, st.integers(0, 15), st.integers(0, 15))
@pytest.mark.slow
def test_regions_paint_the_grid_back(offsets: np.ndarray, less_high: int, less_wide: int) -> None:
    height, width = offsets.shape[0] * 16 - less_high, offsets.shape[1] * 16 - less_wide
    regions = regions_of(offsets, 16, height, width)
    wanted = np.kron(offsets, np.ones((16, 16)))[:height, :width]
    assert np.array_equal(painted(regions, height, width), wanted)
    assert all(region.width > 0 and region.height > 0 for region in regions)
    runs = [Region(*map(int, run[:4]), run[4]) for run in runs_of(offsets, 16, height, width)]
    assert np.array_equal(painted(runs, height, width), wanted)
    assert np.array_equal(painted(runs[::-1], height, width), wanted)  # none is over another
    assert all(run.width > 0 and run.height > 0 and run.offset for run in runs)


def test_equal_neighbours_merge() -> None:
    offsets = np.zeros((68, 120))
    offsets[10:20, 30:60] = -4
    assert len(regions_of(offsets, 16, 1080, 1920)) == len(runs_of(offsets, 16, 1080, 1920)) == 1


def test_levels_paint_over_each_other_instead_of_around() -> None:
    offsets = np.zeros((40, 40))
    for level in (1, 2, 3):
        offsets[5 * level : -5 * level, 5 * level : -5 * level] = -level
    assert len(regions_of(offsets, 16, 640, 640)) == 3
