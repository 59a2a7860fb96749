"""The probe: real encoders move bits both ways, and one that ignores its map is found out."""

from __future__ import annotations

import re

import pytest

from harness.errors import HarnessError, InputError
from harness.roi.encoders import ENCODERS, Settings, find_encoder
from harness.roi.encoders.base import Encoder
from harness.roi.proof import probe
from tests.helpers.roi import FAST

ABLE = [
    name for name, encoder in ENCODERS.items() if encoder.route in ("side-data", "roi-file") and not encoder.hardware
]


@pytest.mark.slow
@pytest.mark.parametrize("name", ABLE)
def test_a_left_right_map_moves_bits_left_and_right(name: str) -> None:
    settings = Settings(preset=FAST.get(name))
    found = probe(find_encoder(name), settings)
    least = 1.05 if name == "libvpx" else 1.1  # VP8 has four segments
    assert found.favoured > least * found.plain > least * found.disfavoured


@pytest.mark.parametrize("name", ["h264_qsv", "hevc_qsv"])
def test_quick_sync_follows_a_map_or_says_what_it_needs(name: str) -> None:
    try:
        found = probe(find_encoder(name), Settings())
    except InputError as error:
        assert re.search(f"{name} (does not open: .*needs Intel graphics|is not in this PyAV)", str(error))
    else:
        assert found.favoured > found.plain > found.disfavoured


@pytest.mark.slow
def test_vp8_does_not_choose_its_effort_by_the_clock() -> None:
    assert probe(find_encoder("libvpx"), Settings()) == probe(find_encoder("libvpx"), Settings())


def test_the_probe_catches_an_encoder_that_ignores_its_map_in_silence() -> None:
    liar = Encoder("libsvtav1", "side-data", translate=lambda settings: {"preset": "12"})
    with pytest.raises(HarnessError, match="does not follow a map"):
        probe(liar, Settings())
