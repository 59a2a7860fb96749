"""One run at a time in a folder; a killed one holds nothing, and nothing of a lock is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from corpora.synth import ClipOptions, ImageOptions, write_clips, write_images
from harness.errors import InputError
from harness.locks import FILE, file_held, folder_held
from tests.helpers.commands import run

HOLDER = """
import sys, time
from harness.locks import folder_held
with folder_held(sys.argv[1], "a long run"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_holder_is_told_of_the_first_and_nothing_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    with folder_held(folder, "eval of ecssd"):
        with pytest.raises(
            InputError, match=rf"out is being written by: eval of ecssd, process {os.getpid()} on \S+ \("
        ):
            folder_held(folder).__enter__()
        with (
            folder_held(tmp_path / "other"),
            file_held(tmp_path / "out.mkv"),
            pytest.raises(InputError, match=r"mkv is"),
        ):
            file_held(tmp_path / "out.mkv").__enter__()
    assert not any(tmp_path.iterdir())
    with folder_held(folder):
        (folder / "table.csv").touch()
    assert [path.name for path in folder.iterdir()] == ["table.csv"]


def test_who_waits_gets_its_turn_though_the_file_that_it_waited_for_is_gone(tmp_path: Path) -> None:
    turns: list[str] = []

    def second() -> None:
        with folder_held(tmp_path / "out", "second", seconds=60):
            turns.append("second")

    with folder_held(tmp_path / "out", "first"):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.1)
        turns.append("first")
    waiting.join()
    assert turns == ["first", "second"] and not any(tmp_path.glob("out/*"))


def test_who_waits_too_long_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    with (
        folder_held(tmp_path, "promoting b"),
        pytest.raises(InputError, match=r"is being written by: promoting b, process \d+"),
        folder_held(tmp_path, "another act", seconds=0.1),
    ):
        pass
    with folder_held(tmp_path, "once more", seconds=0.1):
        pass


@pytest.mark.slow
def test_a_killed_holder_blocks_nobody(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout and child.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=rf"a long run, process {child.pid}"):
            folder_held(tmp_path).__enter__()
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert (tmp_path / FILE).exists()
        with folder_held(tmp_path):
            pass
    assert not any(tmp_path.iterdir())


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated pictures and clips."""
    root = tmp_path_factory.mktemp("sets")
    write_images(root, ImageOptions(count=3, size=(64, 64)))
    write_clips(root, ClipOptions(1, 2, (64, 64), 0))
    return root


@pytest.mark.parametrize(
    "words",
    [
        ["eval", "--corpus", "synth", "--root", "{synth}", "--out", "{out}"],
        ["ladder", "--corpus", "synth-clips", "--root", "{synth}", "--crf", "30", "--metric", "none", "--out", "{out}"],
        ["roi-sweep", "--corpus", "synth-clips", "--root", "{synth}", "--out", "{out}"],
        ["roi-sweep", "--corpus", "synth-clips", "--root", "{synth}", "--budget", "vmaf=1", "--out", "{out}"],
        ["gate", "--incumbent", "saliency_student_v1", "--candidate", "saliency_student_v2", "--profile", "demo",
         "--root", "{synth}", "--out", "{out}"],
    ],
    ids=lambda words: " ".join(words[:1] + [word for word in words if word == "--budget"]),
)  # fmt: skip
@pytest.mark.slow
def test_every_command_that_fills_a_folder_holds_it(sets: Path, tmp_path: Path, words: list[str]) -> None:
    out = tmp_path / "out"
    with folder_held(out, "another run"):
        done = run(*(word.format(synth=sets, out=out) for word in words))
        assert isinstance(done.exception, InputError), done.output
        assert f"{out} is being written by: another run" in str(done.exception)
        assert [path.name for path in out.iterdir()] == [FILE]
