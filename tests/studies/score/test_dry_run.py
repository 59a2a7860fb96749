"""A dry run says what would be done to which frames, and does none of it."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.helpers import TINY
from tests.helpers.commands import run, run_score
from tests.helpers.containers import SHARP, drawn, ff
from tests.helpers.roi import draw_clip
from tests.helpers.schemas import checked


@pytest.fixture
def turned(tmp_path: Path) -> tuple[Path, Path]:
    """A clip to be shown turned by 180 degrees, and an upright encode of half its size that begins two frames late."""
    drawn(tmp_path / "src.mp4", *SHARP)
    ff("-display_rotation", "180", "-i", tmp_path / "src.mp4", "-c", "copy", tmp_path / "r.mp4")
    late = "trim=start_frame=2,setpts=PTS-STARTPTS,scale=80:48"
    ff("-i", tmp_path / "r.mp4", "-vf", late, *SHARP, tmp_path / "d.mp4")
    return tmp_path / "r.mp4", tmp_path / "d.mp4"


SCORE = ("--model", TINY, "--backend", "embedded", "--metric", "psnr", "--scale", "bicubic", "--offset-frames", "-2")


@pytest.mark.slow
def test_a_score_says_the_chain_of_each_side_the_pairs_and_the_command(
    turned: tuple[Path, Path], tmp_path: Path
) -> None:
    before = sorted(tmp_path.iterdir())
    done = run_score(*turned, *SCORE, "--log", tmp_path / "log.json", "--dry-run")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert "160x96 yuv420p" in lines[0] and "frames 2 to 11 of 12" in lines[0]
    assert lines[1].strip().startswith("hflip,vflip,trim=end_frame=12:start_frame=2,settb=")
    assert "frames 0 to 9 of 10" in lines[2] and lines[3].strip().startswith("scale=flags=bicubic:h=96:w=160,trim=")
    assert lines[4] == "10 pairs, all scored: vmaf_v0.6.1, psnr; saliency by embedded (asked for)"
    assert sorted(tmp_path.iterdir()) == before, "nothing is written"


@pytest.mark.slow
def test_the_command_that_is_said_is_the_one_that_scores(turned: tuple[Path, Path], tmp_path: Path) -> None:
    said = checked("score-dry-run", run_score(*turned, *SCORE, "--dry-run", "--json").stdout)
    subprocess.run(shlex.split(said["command"]), cwd=tmp_path, check=True, capture_output=True)
    scored = json.loads(run_score(*turned, *SCORE, "--json").stdout)
    by_hand = json.loads((tmp_path / "vmaf.json").read_text())
    for name in ("vmaf", "psnr_y"):
        values = [[frame["metrics"][name] for frame in log["frames"]] for log in (scored, by_hand)]
        assert values[0] == values[1] and len(values[0]) == 10


def test_a_dry_run_refuses_what_a_score_refuses(turned: tuple[Path, Path]) -> None:
    done = run_score(*turned, "--model", TINY, "--dry-run")
    assert "size 160x96 against 80x48" in str(done.exception)


@pytest.mark.slow
def test_a_ladder_says_its_encodes_and_makes_none(tmp_path: Path) -> None:
    draw_clip(tmp_path, "one", 1)
    words = ["ladder", "--root", tmp_path, "--model", TINY, "--crf", 20, "--crf", 30, "--preset", "veryfast"]
    done = run(*words, "--out", tmp_path / "out", "--store", tmp_path / "jobs", "--dry-run")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "one: 320x192 yuv420p, range tv, matrix bt709, 24 fps, 2 frames"
    assert ["-crf 20" in lines[1], "-crf 30" in lines[2]] == [True, True] and "file:one.y4m" in lines[1]
    assert all("trim=end_frame=2:start_frame=0" in line for line in lines[3:5]) and lines[5] == "1 clips, 2 encodes"
    assert not (tmp_path / "out").exists() and not (tmp_path / "jobs").exists()
