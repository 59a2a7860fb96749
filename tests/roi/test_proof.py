"""The probe: real encoders move bits both ways, and one that ignores its map is found out."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from harness.errors import HarnessError, InputError
from harness.jobs.priority import same_priority
from harness.media.open import open_clip
from harness.roi.encoders import ENCODERS, Settings, find_encoder
from harness.roi.encoders.base import Encoder
from harness.roi.frame_offsets import FrameOffsets
from harness.roi.offsets import block_areas
from harness.roi.proof import PROBE_FRAMES, PROBE_QP, PROBE_SIZE, encode_probe, probe, prove
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
    with same_priority(), pytest.raises(HarnessError, match="does not follow a map"):
        probe(liar, Settings())


@pytest.mark.slow
def test_a_clip_that_the_plain_encode_reproduces_is_judged_by_the_quantisers(tmp_path: Path) -> None:
    """A source made by the same encoder at the same CRF: no steered encode comes near it in PSNR anywhere."""
    able, plain, roi = find_encoder("libx264"), tmp_path / "plain.mkv", tmp_path / "roi.mkv"
    sizes = encode_probe(able, Settings(), 0, plain), encode_probe(able, Settings(), 1, roi)
    grid = np.where(np.arange(PROBE_SIZE[1] // 16) < PROBE_SIZE[1] // 32, -PROBE_QP, PROBE_QP)
    grid = grid * np.ones(block_areas(*PROBE_SIZE, 16).shape)
    found = prove(open_clip(plain), plain, roi, [FrameOffsets(-grid, -grid, grid)] * PROBE_FRAMES, 16, sizes)
    assert found.finer_psnr_change < found.coarser_psnr_change
    assert found.finer_qp_change is not None and found.coarser_qp_change is not None
    assert found.coarser_qp_change - found.finer_qp_change > PROBE_QP
    other = encode_probe(able, Settings(preset="veryfast"), 0, roi)  # another stream, steered by nothing
    with pytest.raises(HarnessError, match=r"did not follow the map: .*quantisers moved by -?\d+ % of what was asked"):
        prove(open_clip(plain), plain, roi, [FrameOffsets(-grid, -grid, grid)] * PROBE_FRAMES, 16, (sizes[0], other))
