"""What a container crops is not seen: not by a model, not by a measure, not in an encode."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from corpora.loader import ClipPair
from harness.errors import InputError
from harness.media.crop import NO_CROP, Crop
from harness.media.open import open_clip
from harness.roi.encoders import Settings
from harness.studies.roi.arm import FirstFrames
from harness.studies.score.dry_run import rung_of
from harness.studies.score.ladder import LadderPlan, encode_rows
from harness.studies.score.pair import ScorePlan, score
from tests.helpers.containers import cropped, drawn, ff
from tests.helpers.roi import run

SIDES = Crop(left=8, right=24, top=4, bottom=12)


def shown(path: Path) -> list[np.ndarray]:
    return [plane.copy() for frame in open_clip(path) for plane in (frame.y, frame.u, frame.v) if plane is not None]


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_cropped_clip_is_read_as_ffmpegs_program_shows_it(tmp_path: Path, name: str) -> None:
    clip = open_clip(cropped(tmp_path / name, 8, 24, 4, 12))
    assert (clip.info.width, clip.info.height, clip.info.crop) == (128, 80, SIDES)
    ff("-i", tmp_path / name, "-c:v", "ffv1", tmp_path / "baked.mkv")
    ours, theirs = shown(tmp_path / name), shown(tmp_path / "baked.mkv")
    assert len(ours) == 36 and all(np.array_equal(one, two) for one, two in zip(ours, theirs, strict=True))


@pytest.mark.slow
def test_a_cropped_clip_and_its_encode_are_equal_in_vmaf_and_in_saliency(tmp_path: Path, tiny) -> None:
    cropped(tmp_path / "a.mp4", 8, 24, 4, 12)
    ff("-i", tmp_path / "a.mp4", "-c:v", "ffv1", tmp_path / "baked.mkv")
    plan = ScorePlan(metrics=("psnr",), backend="embedded")
    paths = [tmp_path / name for name in ("a.mp4", "baked.mkv")]
    here, there = (score(paths[0], path, [tiny], plan).log for path in paths)
    assert here.frames == there.frames and here.column("psnr_y").tolist() == [60] * 12


@pytest.mark.slow
def test_every_other_command_sees_what_is_shown(tmp_path: Path) -> None:
    clip = cropped(tmp_path / "a.mkv", 8, 24, 4, 12, size="352x208")
    rows = encode_rows("a", str(clip), [], "25", "libx264", "veryfast", 20, 4, ["vmaf_v0.6.1"], [])
    assert len(rows) == 3 and min(row["vmaf"] for row in rows) > 80
    assert "crop=h=192:w=320" in rung_of(ClipPair("a", clip, tmp_path), LadderPlan()).reference_chain
    assert next(iter(FirstFrames(clip, 2, tmp_path / "raw.y4m"))).y.shape == (192, 320)
    steered = run(clip, tmp_path / "out.mkv", settings=Settings(crf=20, preset="veryfast"))
    assert open_clip(steered.path).info.crop == NO_CROP and "crop" not in " ".join(steered.not_carried_over)
    found = score(clip, steered.path, [], ScorePlan(metrics=("psnr",))).log
    assert found.column("psnr_y").min() > 35


def test_a_crop_within_a_chroma_sample_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"crops 7 columns and 4 rows first, of 160x96 420.*ffmpeg -i a\.mkv"):
        open_clip(cropped(tmp_path / "a.mkv", 7, 25, 4, 12))


def test_a_stream_that_crops_itself_is_cropped_once(tmp_path: Path) -> None:
    """150 and 90 are no multiples of 16: the stream holds 160x96, and decoders cut it."""
    drawn(tmp_path / "a.mp4", "-c:v", "libx264", size="150x90", frames=2)
    clip = open_clip(tmp_path / "a.mp4")
    assert (clip.info.width, clip.info.height, clip.info.crop) == (150, 90, NO_CROP)
    assert next(iter(clip)).y.shape == (90, 150)


def test_planes_of_every_chroma_layout_lose_their_share() -> None:
    crop = replace(SIDES, right=23)
    for across, down in ((1, 1), (2, 1), (2, 2)):
        plane = np.arange(-(-96 // down) * -(-160 // across)).reshape(-(-96 // down), -1)
        cut = crop.of(plane, 160, 96)
        assert cut.shape == (-(-80 // down), -(-129 // across))
        assert cut[0, 0] == plane[4 // down, 8 // across]
