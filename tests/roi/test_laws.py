"""Laws from map to weight: what each does to a map, and that none is the map itself."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import InputError
from harness.models.sources import bell
from harness.roi.laws import MAP, Law

MEANS = np.zeros((5, 9))
MEANS[0, 0] = 1.0


def test_the_map_alone_stays_as_it_is() -> None:
    assert np.array_equal(Law.parse("map").begin()(MEANS), MEANS) and Law.parse("map") == MAP


def test_a_share_of_the_centre_is_mixed_in() -> None:
    found = Law.parse("centre:0.3").begin()(MEANS)
    assert found == pytest.approx(0.7 * MEANS + 0.3 * np.outer(bell(5), bell(9)))
    assert np.unravel_index(found.argmax(), found.shape) == (0, 0)


def test_the_past_is_the_mean_of_all_maps_so_far_and_every_clip_begins_anew() -> None:
    law = Law.parse("past:0.5")
    frame = law.begin()
    assert np.array_equal(frame(MEANS), MEANS)
    assert frame(np.zeros_like(MEANS))[0, 0] == pytest.approx(0.25)
    assert np.array_equal(law.begin()(MEANS), MEANS)


def test_a_power_and_a_growth() -> None:
    assert Law.parse("power:0.5").begin()(MEANS / 4)[0, 0] == pytest.approx(0.5)
    grown = Law.parse("grow:1").begin()(MEANS)
    assert grown[:2, :2].min() == 1 and grown.sum() == 4


@pytest.mark.parametrize(
    "text", ["", "centre", "centre:2", "map:1", "past:-1", "grow:99", "wave:1", "centre:nan", "map/0", "map/x", "map/"]
)
def test_a_bad_law_says_what_is_allowed(text: str) -> None:
    with pytest.raises(InputError, match="allowed"):
        Law.parse(text)


@pytest.mark.parametrize("text", ["map", "centre:0.5", "past:0.25", "power:2", "grow:1", "map/4", "centre:0.5/2"])
def test_a_law_reads_what_it_writes(text: str) -> None:
    assert str(Law.parse(text)) == text
