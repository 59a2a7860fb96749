"""What an ROI encode writes beside its file: maps in formats of others, previews of a frame and of the whole clip."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import HarnessError, InconclusiveError, InputError
from harness.media.open import open_clip
from harness.media.y4m import write_y4m
from harness.models.sources import CentrePrior
from harness.models.working_size import NATIVE
from harness.roi.encoders import Settings, find_encoder
from harness.roi.frame_offsets import offsets_of_frames
from harness.roi.laws import MAP, Law
from harness.roi.offsets import Strength, block_areas, block_means
from harness.roi.preview import Panels
from harness.studies.roi.encode import Steering, roi_encode
from tests.helpers.clips import write_clip
from tests.helpers.roi import FlatMap, Wandering, run


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
    assert grid.shape == (6, 10) and grid[3, 5] > 128 > grid[0, 0]
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


def test_the_map_alone_is_written_where_svtav1s_program_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    clip, wanted = write_clip(tmp_path / "clip.y4m", size=(320, 192), frames=4), tmp_path / "map.txt"
    export = ("svtav1", wanted)
    said = (
        r"map.txt is written .for a CRF \d+ below that of the plain encode., but no encode was made: no program SvtAv1"
    )
    with pytest.raises(HarnessError, match=said) as failed:
        run(clip, tmp_path / "out.mkv", "SvtAv1EncApp", settings=Settings(), export=export)
    assert failed.value.exit_code == 1
    assert {len(line.split()) for line in wanted.read_text().splitlines()} == {1 + 5 * 3}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.y4m", "map.txt"]
    wanted.unlink()
    with pytest.raises(InconclusiveError, match="flat"):
        run(clip, tmp_path / "out.mkv", "SvtAv1EncApp", FlatMap(), settings=Settings(), export=export)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.y4m"]


def test_the_svtav1_export_follows_the_law_too(tmp_path: Path) -> None:
    clip, grids = write_clip(tmp_path / "clip.y4m", frames=1), []
    for law in (MAP, Law.parse("centre:1")):
        out = tmp_path / f"{len(grids)}.txt"
        run(clip, tmp_path / "out.mkv", source=Wandering(), law=law, export=("svtav1", out))
        grids.append(np.reshape([int(word) for word in out.read_text().split()[1:]], (2, 3)))
    assert np.unravel_index(grids[0].argmin(), (2, 3)) == (0, 0)
    assert np.unravel_index(grids[1].argmin(), (2, 3)) == (0, 1)


@pytest.mark.parametrize("name", ["look.png", "look.mp4"])
def test_a_preview_shows_the_map_that_steered(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Smoothed over time and block by block: not one worked out anew for the picture."""
    shown: list[Panels] = []
    monkeypatch.setattr("harness.studies.roi.encode.write_preview", lambda path, panels, titles: shown.append(panels))
    monkeypatch.setattr(
        "harness.studies.roi.encode.write_preview_video", lambda path, frames, *more: shown.extend(frames)
    )
    soft = (replace(frame, y=frame.y // 6 + 90) for frame in open_clip(write_clip(tmp_path / "hard.y4m")))  # no cuts
    write_y4m(tmp_path / "clip.y4m", soft, Fraction(25))
    clip = open_clip(tmp_path / "clip.y4m")
    settings, steering = Settings(preset="veryfast"), Steering(NATIVE, Strength(8), 0.5, MAP)
    roi_encode(
        clip, Wandering(), tmp_path / "out.mkv", settings=settings, steering=steering, preview=tmp_path / name
    )  # fmt: skip
    asked = [
        each
        for _, each in offsets_of_frames(clip, Wandering().open(1), NATIVE, Strength(8), find_encoder("libx264"), 0.5)
    ]
    if name == "look.png":
        asked = asked[4:5]
    assert len(shown) == len(asked)
    for panels, each in zip(shown, asked, strict=True):
        assert np.allclose(panels.saliency, each.means) and np.array_equal(panels.offsets, each.offsets)
    assert 0.4 < shown[-1].of_pixels(shown[-1].saliency).max() < 1
