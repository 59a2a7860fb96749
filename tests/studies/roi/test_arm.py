"""One arm on one clip: flat memory, the clip's own colour range, and masks that fit its frames."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import InputError
from harness.media.ffmpeg import find_ffmpeg
from harness.media.frames import Frame
from harness.media.open import open_clip
from harness.media.y4m import write_y4m
from harness.roi.encode import encode
from harness.roi.encoders import Settings, find_encoder
from harness.roi.proof import stream_digest
from harness.studies.roi.arm import measure_arm
from harness.studies.score.pair import ScorePlan, score
from tests.helpers import ROOT
from tests.helpers.clips import write_clip

PEAK = """
import resource, sys
from harness.studies.roi.arm import measure_arm
clip, masks, limit = sys.argv[1:]
(row,) = measure_arm("clip", clip, masks, "libx264", [40.0], "ultrafast", "64", int(limit), "oracle", 4.0)
assert row["frames"] == int(limit)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    """No pass holds the frames: 110 more of them cost less than a quarter of their own size."""
    size, more = (368, 640), 110
    rng = np.random.default_rng(0)
    luma, grey = rng.integers(0, 255, size).astype(np.uint8) // 4 + 90, np.full((184, 320), 128, np.uint8)
    frames = (Frame(n, n / 25, np.roll(luma, n, 1), grey, grey, "yuv420p", 8, "420") for n in range(10 + more))
    write_y4m(tmp_path / "clip.y4m", frames, Fraction(25))
    write_masks(tmp_path / "masks", 10 + more, size)
    peaks = []
    for limit in (10, 10 + more):
        words = [sys.executable, "-c", PEAK, str(tmp_path / "clip.y4m"), str(tmp_path / "masks"), str(limit)]
        peaks.append(float(subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout))
    clip = more * luma.size * 1.5 / 2**20
    assert peaks[1] - peaks[0] < clip / 4, peaks


def write_masks(folder: Path, count: int, size: tuple[int, int]) -> Path:
    mask = np.zeros(size, np.uint8)
    mask[size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = 255
    folder.mkdir()
    for index in range(count):
        Image.fromarray(mask).save(folder / f"{index:05d}.png")
    return folder


@pytest.mark.slow
def test_a_full_range_clip_is_compared_in_its_own_range(tmp_path: Path) -> None:
    """`score` says the same of the same encode: a raw file without a range would be converted on one side."""
    plain, full = write_clip(tmp_path / "plain.mkv", size=(320, 192), frames=4), tmp_path / "full.mkv"
    words = ["-vf", "scale=out_range=full,format=yuvj420p", "-c:v", "libx264", "-crf", "4", "-color_range", "pc"]
    find_ffmpeg().run(["-i", plain, *words, full])
    assert open_clip(full).info.range == "pc"
    masks = write_masks(tmp_path / "masks", 4, (192, 320))
    (row,) = measure_arm("full", str(full), str(masks), "libx264", [32.0], "ultrafast", "64", None, "plain", None)
    clip, out = open_clip(full), tmp_path / "out.mkv"
    encode(
        clip.info,
        ((frame, None) for frame in clip),
        find_encoder("libx264"),
        Settings(crf=32, preset="ultrafast"),
        out,
    )
    assert stream_digest(out) == row["stream_sha256"]
    log = score(clip, open_clip(out), [], ScorePlan(metrics=("xpsnr",))).log
    assert row["vmaf"] == pytest.approx(log.column("vmaf").mean(), abs=1e-9)
    assert row["xpsnr_y"] == pytest.approx(log.column("xpsnr_y").mean(), abs=1e-9)


def test_masks_must_be_as_many_as_frames(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=4)
    masks = write_masks(tmp_path / "masks", 3, (96, 160))
    asked = ("clip", str(clip), str(masks), "libx264", [32.0], "ultrafast", "64")
    with pytest.raises(InputError, match="3 masks for 4 frames"):
        measure_arm(*asked, None, "plain", None)
    assert measure_arm(*asked, 3, "plain", None)[0]["frames"] == 3
