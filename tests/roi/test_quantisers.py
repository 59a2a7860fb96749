"""Quantisers out of a stream, against those that were asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.media.open import open_clip
from harness.roi.encode import encode
from harness.roi.encoders import Settings, find_encoder
from harness.roi.frame_offsets import FrameOffsets
from harness.roi.quantisers import quantisers
from tests.helpers.clips import write_clip


def test_the_quantisers_are_those_that_the_offsets_asked_for(tmp_path: Path) -> None:
    """x264 with adaptation that does nothing of its own: the frame's QP plus the offset, block by block."""
    clip, out = open_clip(write_clip(tmp_path / "clip.mkv", size=(200, 120), frames=4)), tmp_path / "out.mkv"
    grid = np.random.default_rng(2).integers(-3, 4, (8, 13)).astype(float) * 2
    options = (("x264-params", "aq-strength=0.01:mbtree=0:ipratio=1:bframes=0:qcomp=1"),)
    steered = ((frame, FrameOffsets(grid, grid, grid)) for frame in clip)
    encode(clip.info, steered, find_encoder("libx264"), Settings(crf=24, preset="veryfast", options=options), out)
    found = list(quantisers(out, 16) or ())
    assert len(found) == 4 and found[0].shape == grid.shape
    least = found[0] - grid
    assert np.abs(least - np.median(least)).max() <= 1  # the first is coded whole; in others a skipped block has none
    (coarse, *_) = quantisers(out, 64) or ()
    assert coarse.shape == (2, 4) and abs(coarse[0, 0] - found[0][:4, :4].mean()) < 1e-9


def test_a_codec_that_does_not_tell_gives_none(tmp_path: Path) -> None:
    assert quantisers(write_clip(tmp_path / "clip.mkv"), 16) is None
