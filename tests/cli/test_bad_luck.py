"""Bad luck that only a real process has: a full standard output, little memory, names that are no text."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from corpora.synth import ClipOptions, write_clips
from tests.helpers import ROOT


def typed(words: str, *more: str | bytes | Path) -> subprocess.CompletedProcess[bytes]:
    """A shell's command, in which `$H` is harness and `$1` and so on are `more`."""
    env = os.environ | {"H": f"{sys.executable} -m harness"}
    return subprocess.run(["bash", "-c", words, "bash", *more], cwd=ROOT, env=env, capture_output=True, timeout=100)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_clips(tmp_path_factory.mktemp("clips"), ClipOptions(count=1, size=(96, 64), frames=2))
    return next((folder / "clips").glob("*.y4m"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("$H registry list --json > /dev/full", 1, "harness: standard output: No space left on device"),
        ("ulimit -v 450000; $H registry list", 2, "harness: memory is limited to 439 MiB, by ulimit -v perhaps"),
    ],
)  # fmt: skip
def test_it_is_one_line(words: str, code: int, says: str) -> None:
    done = typed(words)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == code and len(lines) == 1 and lines[0].startswith(says), lines


@pytest.mark.slow
def test_a_name_that_is_no_text_is_a_name(clip: Path, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/\xff[x264] :warning:.json"
    done = typed('$H score "$1" "$1" --metric none --log "$2"', clip, odd)
    assert done.returncode == 0 and [os.fsencode(path) for path in tmp_path.iterdir()] == [odd], done.stderr
    done = typed('$H gate history "$1"', odd)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and b"\\udcff[x264] :warning:" in done.stderr


@pytest.mark.slow
def test_brackets_in_names_stand_as_they_are(clip: Path, tmp_path: Path) -> None:
    named = tmp_path / "[x264] [bold]a :warning:.y4m"
    named.symlink_to(clip)
    done = typed('COLUMNS=200 $H score "$1" "$1" --metric none', named)
    assert f"{named.name} against {named.name}" in done.stdout.decode(), done.stderr


def test_everything_that_is_printed_goes_through_one_place() -> None:
    others = [
        path.name for path in (ROOT / "harness/cli").rglob("*.py") if "Console(" in path.read_text(encoding="utf-8")
    ]
    assert others == ["terminal.py"]
