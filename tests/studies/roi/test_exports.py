"""What an ROI encode writes beside its file: maps in formats of others, previews of a frame and of the whole clip."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import InputError
from harness.media.open import open_clip
from harness.models.sources import CentrePrior
from harness.models.working_size import NATIVE
from harness.roi.offsets import block_areas, block_means
from tests.helpers.clips import write_clip
from tests.helpers.roi import run


@pytest.mark.slow
def test_preview_and_exports_are_written(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.y4m")
    run(clip, tmp_path / "out.mkv", preview=tmp_path / "look.png", export=("npz", tmp_path / "map.npz"))
    assert (tmp_path / "look.png").read_bytes().startswith(b"\x89PNG")
    assert np.load(tmp_path / "map.npz")["offsets_qp"].shape == (8, 6, 10)


def test_the_svtav1_export_has_its_own_grid_whatever_encoder_ran(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.y4m", size=(330, 150), frames=2)
    advice = run(clip, tmp_path / "out.mkv", export=("svtav1", tmp_path / "map.txt")).advice
    (finer,) = map(int, re.findall(r"for a CRF (\d+) below that of the plain encode", advice))
    line = [int(word) for word in (tmp_path / "map.txt").read_text().splitlines()[0].split()]
    assert min(line[1:]) >= 0  # SVT-AV1 makes little of offsets below
    grid = np.reshape(line[1:], (3, 6)) / 5 - finer * 4 / 3  # blocks of 64, from qindex back to QP
    centre = CentrePrior().open(1)("", np.zeros((150, 330, 3), np.uint8), NATIVE)
    assert line[0] == 0 and len(set(line[1:])) <= 8
    assert np.corrcoef(block_means(centre, 64).ravel(), grid.ravel())[0, 1] < -0.95
    areas = block_areas(150, 330, 64)
    assert abs((grid * areas).sum() / areas.sum()) < 0.6 and -4 - 1.6 < grid.min() < -2 < 2 < grid.max()


def test_the_png_export_is_a_folder_of_small_pictures(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.y4m", frames=2)
    run(clip, tmp_path / "out.mkv", export=("png", tmp_path / "maps"))
    with Image.open(tmp_path / "maps" / "00001.png") as picture:
        grid = np.asarray(picture).astype(int)
    assert grid.shape == (6, 10) and grid[3, 5] > 128 > grid[0, 0] and not (grid % 4).any()
    with pytest.raises(InputError, match="maps exists"):
        run(clip, tmp_path / "again.mkv", export=("png", tmp_path / "maps"))
    assert not (tmp_path / "again.mkv").exists()


@pytest.mark.slow
def test_a_preview_video_shows_every_frame(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=5)
    run(clip, tmp_path / "out.mkv", preview=tmp_path / "look.mp4")
    info = open_clip(tmp_path / "look.mp4").info
    assert (info.frames, info.width, info.height) == (5, 320, 2 * (96 + 24))
    with pytest.raises(InputError, match=r"allowed: a \.png of one frame, or .mp4"):
        run(clip, tmp_path / "no.mkv", preview=tmp_path / "look.gif")
