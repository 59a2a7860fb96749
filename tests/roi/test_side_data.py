"""Offsets on the frames: exactly the grid, in as many rectangles as the encoder takes."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type as SideData

from harness.media.frames import ClipInfo, Frame
from harness.media.open import open_clip
from harness.media.pictures import resized
from harness.models.working_size import NATIVE, WorkingSize
from harness.roi.encoders import ENCODERS, Settings
from harness.roi.frame_offsets import offsets_of_frames
from harness.roi.offsets import Strength
from harness.roi.proof import probe
from harness.roi.regions import Region, painted, regions_of
from harness.roi.side_data import REGION, OffsetsAsSideData
from tests.helpers.clips import write_clip


def sides_of(picture: av.VideoFrame) -> list[bytes]:
    """The bytes of all of a picture's side data: in PyAV 19 a mapping, before that a list that takes keys."""
    sides: Any = picture.side_data
    return [bytes(sides[kind]) for kind in SideData if sides.get(kind) is not None]


def test_every_picture_carries_exactly_its_own_grid() -> None:
    rng = np.random.default_rng(3)
    info = ClipInfo(Path("drawn"), 200, 120, "yuv420p", 8, "420", Fraction(25), None)
    side_data = OffsetsAsSideData(info, ENCODERS["libx264"])
    for index, levels in enumerate((2, 9, 1, 4, 9, 2)):  # few and many regions, a flat grid between
        offsets = rng.integers(0, levels, (8, 13)) - float(levels // 2)
        luma, chroma = rng.integers(0, 255, (120, 200)).astype(np.uint8), np.full((60, 100), 90 + index, np.uint8)
        picture = side_data.picture(Frame(index, 0, luma, chroma, chroma, "yuv420p", 8, "420"), offsets)
        assert np.array_equal(picture.to_ndarray()[:120], luma)
        rows = [row for side in sides_of(picture) for row in np.frombuffer(side, REGION)]
        regions = [
            Region(
                r["left"], r["top"], r["right"] - r["left"], r["bottom"] - r["top"], r["numerator"] / r["denominator"]
            )
            for r in rows
        ]
        assert {int(r["size"]) for r in rows} <= {28} and {int(r["denominator"]) for r in rows} <= {51_000}
        wanted = np.kron(offsets, np.ones((16, 16)))[:120, :200]
        assert np.allclose(painted(regions, 120, 200) * 51, wanted, atol=1e-4)
        assert len({region.offset for region in regions}) <= np.unique(offsets).size


@pytest.mark.slow
def test_an_encoder_of_few_rectangles_and_packed_pixels_gets_what_it_takes(tmp_path: Path) -> None:
    able = dataclasses.replace(ENCODERS["libx264"], regions=12, layouts=(("yuv420p", "nv12"),))
    clip = open_clip(write_clip(tmp_path / "clip.mkv", size=(320, 192), frames=6))
    rng = np.random.default_rng(5)

    def blobs(name: str, rgb: np.ndarray, working: WorkingSize) -> np.ndarray:
        return resized(rng.random((4, 6)).astype(np.float32), (192, 320))

    planned = list(offsets_of_frames(clip, blobs, NATIVE, Strength(8), able))
    counts = [len(regions_of(plan.offsets, 16, 192, 320)) for _, plan in planned]
    assert 2 <= min(counts) < max(counts) <= 12
    side_data = OffsetsAsSideData(clip.info, able)
    for (frame, plan), count in zip(planned, counts, strict=True):
        assert sum(map(len, sides_of(side_data.picture(frame, plan.offsets)))) == 28 * count
    assert probe(able, Settings(preset="veryfast")).favoured > probe(able, Settings(preset="veryfast")).plain
