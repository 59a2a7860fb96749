"""Laws from map to weight: what each does to a map, and that none is the map itself."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import InputError
from harness.models.sources import bell
from harness.roi.laws import MAP, Law, busyness

MEANS = np.zeros((5, 9))
MEANS[0, 0] = 1.0
BUSY = np.linspace(0, 1, 45).reshape(5, 9)
SLOPE = np.linspace(0, 1, 45).reshape(5, 9)


def weights(law: str, *maps: np.ndarray) -> np.ndarray:
    """What a law makes of the last of a clip's maps."""
    frame = Law.parse(law).begin()
    for each in maps:
        found = frame(each, lambda: BUSY)
    return found


def test_the_map_alone_stays_as_it_is() -> None:
    assert np.array_equal(weights("map", MEANS), MEANS) and Law.parse("map") == MAP


def test_a_share_of_the_centre_is_mixed_in() -> None:
    found = weights("centre:0.3", MEANS)
    assert found == pytest.approx(0.7 * MEANS + 0.3 * np.outer(bell(5), bell(9)))
    assert np.unravel_index(found.argmax(), found.shape) == (0, 0)


def test_nearness_falls_off_around_the_map_and_nothing_is_near_an_empty_one() -> None:
    found = weights("near:1", MEANS)
    assert found[0, 0] == pytest.approx(1) and (np.diff(found[0]) < 0).all() and (np.diff(found[:, 0]) < 0).all()
    assert weights("near:0.5", MEANS)[0, 0] == pytest.approx(1)
    assert not weights("near:0.5", np.zeros_like(MEANS)).any()


def test_the_past_is_the_mean_of_all_maps_so_far_and_every_clip_begins_anew() -> None:
    empty = np.zeros_like(MEANS)
    assert np.array_equal(weights("past:0.5", MEANS), MEANS)
    assert weights("past:0.5", MEANS, empty)[0, 0] == pytest.approx(0.25)
    law = Law.parse("past:0.5")
    assert [law.begin()(each, lambda: BUSY)[0, 0] for each in (MEANS, empty)] == [1, 0]


def test_a_slow_law_moves_by_a_share_of_what_is_new() -> None:
    empty = np.zeros_like(MEANS)
    assert weights("slow:4", MEANS, empty)[0, 0] == pytest.approx(0.75)
    assert weights("slow:4", MEANS, empty, empty)[0, 0] == pytest.approx(0.75**2)
    assert np.array_equal(weights("slow:1", empty, MEANS), MEANS)


def test_busy_blocks_get_more_with_and_without_a_map() -> None:
    assert weights("busy:0.5", MEANS) == pytest.approx(MEANS + 0.5 * BUSY)
    assert weights("times:0+busy:-1", MEANS) == pytest.approx(-BUSY)


def test_how_busy_a_block_is_follows_its_variance_at_any_depth() -> None:
    luma = np.zeros((16, 32), np.uint8)
    luma[:, 16::2] = 255  # the second block has the largest variance there is
    assert busyness(luma, 255, 16) == pytest.approx(np.array([[0.0, 1.0]]))
    assert busyness(luma.astype(np.uint16) * 4, 1020, 16) == pytest.approx(np.array([[0.0, 1.0]]))


def test_what_bends_a_map_keeps_its_order_and_its_ends() -> None:
    for law in ("power:0.5", "log:5", "rank:0.5"):
        found = weights(law, SLOPE)
        assert (np.diff(found.ravel()) > 0).all()
    assert weights("power:0.5", MEANS / 4)[0, 0] == pytest.approx(0.5)
    assert weights("log:5", SLOPE)[[0, -1], [0, -1]] == pytest.approx([0, 1])
    assert weights("log:5", np.full((1, 1), 0.25)) == pytest.approx(np.log(2) / np.log(5))
    assert weights("rank:1", np.array([[0.1, 0.1, 0.9, 0.2]])) == pytest.approx(np.array([[0.25, 0.25, 0.875, 0.625]]))


def test_all_or_nothing_and_two_ends() -> None:
    assert weights("top:0.2", SLOPE).sum() == 9 and weights("top:0.2", SLOPE)[-1].all()
    above, below = weights("above:0.25", SLOPE), weights("below:0.25", SLOPE)
    assert (above.min(), above.max()) == pytest.approx((0, 0.75))
    assert (below.min(), below.max()) == pytest.approx((0.25, 1))


def test_a_growth_and_a_softening() -> None:
    grown = weights("grow:1", MEANS)
    assert grown[:2, :2].min() == 1 and grown.sum() == 4
    soft = weights("soft:1", MEANS)
    assert 0 < soft[1, 1] < soft[0, 0] < 1


def test_steps_follow_each_other() -> None:
    assert weights("centre:0.5+grow:8", MEANS).min() == pytest.approx(weights("centre:0.5", MEANS).max())
    assert weights("grow:8+centre:1", MEANS) == pytest.approx(np.outer(bell(5), bell(9)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "centre",
        "centre:2",
        "map:1",
        "past:-1",
        "grow:99",
        "wave:1",
        "centre:nan",
        "map/0",
        "map/x",
        "map/",
        "map+centre:0.5",
        "centre:0.5+",
        "+".join(["grow:1"] * 5),
    ],
)
def test_a_bad_law_says_what_is_allowed(text: str) -> None:
    with pytest.raises(InputError, match="allowed"):
        Law.parse(text)


@pytest.mark.parametrize(
    "text", ["map", "centre:0.5", "past:0.25", "power:2", "grow:1", "map/4", "centre:0.5/2", "centre:0.3+busy:-0.5/2"]
)
def test_a_law_reads_what_it_writes(text: str) -> None:
    assert str(Law.parse(text)) == text
