"""A command leaves nothing in the user's home but harness's own cache: no telemetry, no other program's files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from corpora.synth import ImageOptions, write_images
from tests.helpers import ROOT

SILENCED = ("ORT_DISABLE_TELEMETRY", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")


@pytest.mark.slow
def test_a_fresh_home_stays_empty(tmp_path: Path) -> None:
    home, corpora = tmp_path / "home", tmp_path / "corpora"
    home.mkdir()
    write_images(corpora, ImageOptions(4))
    words = ["eval", "--corpus", "synth", "--root", corpora, "--model", "saliency_student_v1"]
    words += ["--working-size", "64", "--workers", "2", "--out", tmp_path / "out"]
    environment = {key: value for key, value in os.environ.items() if key not in SILENCED} | {"HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "harness", *map(str, words)], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "curves.png").is_file()
    ours = home / ".cache" / "harness"
    left = [path for path in home.rglob("*") if path.is_file() and ours not in path.parents]
    assert not left
