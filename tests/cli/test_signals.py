"""Whatever ends a command, its children end too, and where it can still speak it says one line."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from corpora.synth import ClipOptions, write_clips
from tests.helpers import ROOT

SAYS = {
    signal.SIGINT: "harness: interrupted: what is whole was kept, nothing else was left",
    signal.SIGTERM: "harness: terminated: what is whole was kept, nothing else was left",
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set that takes far longer than the test: one picture of noise many times over."""
    root = tmp_path_factory.mktemp("ecssd")
    for kind, suffix in (("images", "jpg"), ("masks", "png")):
        (root / kind).mkdir()
        first = root / kind / f"0000.{suffix}"
        noise = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
        Image.fromarray(noise if kind == "images" else noise[..., 0] // 128 * 255).save(first)
        for number in range(1, 400):
            shutil.copy(first, root / kind / f"{number:04}.{suffix}")
    return root


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips"), ClipOptions(count=2, frames=12))


def command(kind: str, pictures: Path, clips: Path, out: Path) -> list[str]:
    model = ["--model", "saliency_student_v2", "--quiet"]
    return {
        "eval": ["eval", "--corpus", "ecssd", "--root", str(pictures), *model, "--workers", "2", "--out", str(out)],
        "sweep": [
            *("roi-sweep", "--corpus", "synth-clips", "--root", str(clips), *model, "--executor", "local:2"),
            *(f"--crf={crf}" for crf in range(18, 42)),
            *("--preset", "veryslow", "--out", str(out), "--store", str(out / "jobs")),
        ],
        "ladder": [
            *("ladder", "--corpus", "synth-clips", "--root", str(clips), *model, "--executor", "local:2"),
            *(f"--crf={crf}" for crf in range(18, 48)),
            *("--preset", "veryslow", "--out", str(out), "--store", str(out / "jobs")),
        ],
    }[kind]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "how"),
    [(kind, how) for kind in ("eval", "sweep") for how in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)]
    + [("ladder", signal.SIGINT)],
)
def test_no_process_outlives_a_command_that_is_ended(
    pictures: Path, clips: Path, tmp_path: Path, kind: str, how: signal.Signals
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    words = [sys.executable, "-m", "harness", *command(kind, pictures, clips, tmp_path / "out")]
    env = os.environ | {"TMPDIR": str(scratch)}
    child = subprocess.Popen(words, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert child.stderr
    began, me = time.monotonic(), psutil.Process(child.pid)
    while len(me.children(recursive=True)) < 3:  # a tracker of multiprocessing's own and two workers
        assert child.poll() is None and time.monotonic() - began < 60, child.stderr.read()
        time.sleep(0.1)
    while min(worker.cpu_times().user for worker in me.children()[1:]) < 1.5:  # they have begun to work
        assert child.poll() is None and time.monotonic() - began < 90, child.stderr.read()
        time.sleep(0.1)
    family = me.children(recursive=True)
    if how is signal.SIGINT:
        os.killpg(child.pid, how)  # as a terminal does
    else:
        child.send_signal(how)
    said = child.communicate(timeout=20)[1]
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert child.returncode == (-how if how is signal.SIGKILL else 128 + how)
    if how in SAYS:  # after a kill multiprocessing's tracker says which semaphores it takes along
        said_before = "ecssd: "  # what the set holds
        told = [line for line in said.splitlines() if not line.startswith(said_before)]
        assert told == [SAYS[how]], said
        assert [path.name for path in (*tmp_path.rglob(".*"), *scratch.iterdir())] == []
