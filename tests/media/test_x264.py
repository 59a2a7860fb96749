"""x264 gives one stream for one input: in one process, in fresh ones, whatever lay in memory before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import ffmpeg
import pytest

from harness.media import x264
from harness.media.encode import encoder_options
from harness.media.ffmpeg import arguments, find_ffmpeg, url
from harness.media.open import open_clip

ENCODE_TEN = """
import sys
from pathlib import Path
import numpy as np
from harness.media.open import open_clip
from harness.roi.encode import encode
from harness.roi.encoders import Settings, find_encoder
from harness.roi.frame_offsets import FrameOffsets
from harness.roi.proof import stream_digest
clip, out = open_clip(sys.argv[1]), Path(sys.argv[2])
grid = np.where(np.indices((-(-clip.info.height // 16), -(-clip.info.width // 16)))[1] < 5, -4.0, 4.0)
for plan in [None, FrameOffsets(grid, grid, grid)] * 5:
    encode(clip.info, ((frame, plan) for frame in clip), find_encoder("libx264"), Settings(crf=43), out)
    print("steered" if plan else "plain", stream_digest(out))
"""


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Film grain over motion: enough work for the lookahead to tell streams apart."""
    out = tmp_path_factory.mktemp("x264") / "noisy.mkv"
    source = "testsrc2=size=320x192:rate=25:duration=1,noise=alls=20:allf=t,format=yuv420p"
    find_ffmpeg().run(["-f", "lavfi", "-i", source, "-c:v", "ffv1", out])
    return out


@pytest.mark.slow
def test_twenty_encodes_give_one_stream_whatever_lay_in_memory(noisy: Path, tmp_path: Path) -> None:
    found: dict[str, set[str]] = {"plain": set(), "steered": set()}
    for perturb in ("0", "170"):
        done = subprocess.run(
            [sys.executable, "-c", ENCODE_TEN, noisy, tmp_path / f"{perturb}.mkv"],
            env=os.environ | {"MALLOC_PERTURB_": perturb}, capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        for line in done.stdout.splitlines():
            kind, digest = line.split()
            found[kind].add(digest)
    assert len(found["plain"]) == 1 and len(found["steered"]) == 1 and found["plain"] != found["steered"]


def test_a_choice_of_instruction_sets_stands() -> None:
    for options in ({"x264-params": "asm=SSE2"}, {"x264opts": "ref=1:no-asm"}):
        assert x264.steady(options) == options


@pytest.mark.slow
def test_ffmpegs_own_x264_is_given_the_same(monkeypatch: pytest.MonkeyPatch, noisy: Path, tmp_path: Path) -> None:
    monkeypatch.setattr(x264, "without_avx512", lambda: "asm=MMX2,SSE2")
    assert x264.steady({"x264-params": "ref=2"})["x264-params"] == "ref=2:asm=MMX2,SSE2"
    options = {"c:v": "libx264", **encoder_options("libx264", {})}
    find_ffmpeg().run(arguments(ffmpeg.input(url(noisy)).output(url(tmp_path / "out.mkv"), **options)))
    assert open_clip(tmp_path / "out.mkv").info.width == 320
