"""FFmpeg is found, asked and run; whatever happens to it becomes one line and no process stays behind."""

import os
import re
import signal
import subprocess
import sys
import threading
import time

import ffmpeg
import psutil
import pytest

from harness.errors import HarnessError, InputError
from harness.media.ffmpeg import arguments, find_ffmpeg, last_words, url
from harness.media.programs import ask
from tests.helpers import ROOT

ENDLESS = ["-re", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=25", "-f", "null", "-"]
SHORT = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=1", "-f", "null", "-"]


def children_named_ffmpeg():
    found = psutil.Process().children(recursive=True)
    return [child for child in found if "ffmpeg" in child.name() and child.status() != psutil.STATUS_ZOMBIE]


def test_the_default_ffmpeg_scores_and_encodes(monkeypatch):
    monkeypatch.delenv("HARNESS_FFMPEG", raising=False)
    ffmpeg = find_ffmpeg()
    assert {"libvmaf", "xpsnr", "psnr", "ssim"} <= ffmpeg.filters
    assert "libx264" in ffmpeg.encoders
    assert ffmpeg.version and ffmpeg.found in ("PATH", "imageio-ffmpeg")


def test_the_named_ffmpeg_wins_and_must_be_one(monkeypatch):
    default = find_ffmpeg()
    monkeypatch.setenv("HARNESS_FFMPEG", str(default.path))
    assert find_ffmpeg().found == "HARNESS_FFMPEG"
    monkeypatch.setenv("HARNESS_FFMPEG", sys.executable)
    with pytest.raises(InputError, match="fails when it is asked -version"):
        find_ffmpeg()
    monkeypatch.setenv("HARNESS_FFMPEG", "/absent/ffmpeg")
    with pytest.raises(InputError, match="HARNESS_FFMPEG=/absent/ffmpeg: no such program"):
        find_ffmpeg()


BROKEN = {
    "failing": ("echo 'ffmpeg version 9'; exit 127", "fails when it is asked -version (exit code 127)"),
    "binary": ("head -c 300 /dev/urandom", "does not answer -version as FFmpeg does"),
    "silent": ("sleep 600", "does not end its answer to -version"),
    "endless": ("exec cat /dev/zero", "does not end its answer to -version"),
    "half": ("[ $1 = -version ] && echo 'ffmpeg version 9' || kill -9 $$", "fails when it is asked -filters"),
    "no program": ("", "does not run: Exec format error"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_program_on_the_path_is_named_and_passed_over(monkeypatch, tmp_path, caplog, kind):
    body, said = BROKEN[kind]
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{body}\n" if body else "\0\1\2")
    program.chmod(0o755)
    monkeypatch.delenv("HARNESS_FFMPEG", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(ask, "__defaults__", (1.0, False))
    began = time.monotonic()
    assert find_ffmpeg().found == find_ffmpeg().found == "imageio-ffmpeg"
    assert time.monotonic() - began < 10
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("harness")]
    assert str(program) in line and said in line and "imageio-ffmpeg" in line


def test_a_program_that_failed_once_is_asked_again(monkeypatch, tmp_path):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    bundled = find_ffmpeg().path
    monkeypatch.delenv("HARNESS_FFMPEG", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert find_ffmpeg().found == "imageio-ffmpeg"
    program.write_text(f'#!/bin/sh\nexec {bundled} "$@"\n')
    assert find_ffmpeg().found == "imageio-ffmpeg"  # not asked for each file of a run
    monkeypatch.setattr(time, "monotonic", lambda later=time.monotonic() + 61: later)
    assert find_ffmpeg().path == program


def test_missing_codec_is_named_before_anything_runs():
    with pytest.raises(InputError, match="has no encoder 'libnever'"):
        find_ffmpeg().require(encoder="libnever")
    find_ffmpeg().require(encoder="libx264", filter="libvmaf")


def test_progress_counts_frames_up_to_the_total():
    seen: list[int] = []
    find_ffmpeg().run(SHORT, progress=seen.append, total=25)
    assert seen[-1] == 25 and seen == sorted(seen)


def test_failure_carries_its_own_last_words(tmp_path):
    with pytest.raises(HarnessError, match=r"failed \(exit code \d+\).*No such file or directory") as caught:
        find_ffmpeg().run(["-i", tmp_path / "absent.mp4", "-f", "null", "-"])
    assert caught.value.exit_code == 1 and "\n" not in str(caught.value)


def test_killed_ffmpeg_is_reported_as_killed():
    def kill():
        while not children_named_ffmpeg():
            time.sleep(0.02)
        os.kill(children_named_ffmpeg()[0].pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(HarnessError, match="was killed by SIGKILL"):
        find_ffmpeg().run(ENDLESS)
    thread.join()


@pytest.mark.slow
def test_hung_ffmpeg_is_killed_after_its_timeout(tmp_path):
    fifo = tmp_path / "never.y4m"
    os.mkfifo(fifo)
    keep_open = os.open(fifo, os.O_RDWR)  # a source that never says anything
    try:
        with pytest.raises(HarnessError, match=r"hung: nothing new for 1 s after frame 0, killed"):
            find_ffmpeg().run(["-i", fifo, "-f", "null", "-"], timeout=1)
    finally:
        os.close(keep_open)
    assert not children_named_ffmpeg()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_orphan_however_the_harness_ends(how):
    script = f"from harness.media.ffmpeg import find_ffmpeg; find_ffmpeg().run({ENDLESS!r})"
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (children := children_named_ffmpeg()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert children
    parent.send_signal(how)
    parent.wait(10)
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive


def test_last_words_prefer_errors_and_drop_the_empty_ones():
    said = ["[warning] deprecated", "[error] [mp4 @ 0x55d0] moov atom not found", "[error] Conversion failed!"]
    assert last_words(said) == "[mp4] moov atom not found"
    said = ["[error] [libx264 @ 0x1] invalid preset 'x'", "[error] noise", "[error] [out#0] Nothing was written"]
    assert last_words(said) == "[libx264] invalid preset 'x' | [out#0] Nothing was written"
    assert last_words([]) == "it said nothing"


NAMES = [
    "a:b",
    "it's",
    "[x264]",
    "a,b;c",
    "50%d %05d",
    "two  words ",
    "back\\slash\\",
    "k=v:l=w",
    "-dash",
    '#|&$"~',
    "ünï",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_filter_gets_the_very_value_whatever_it_holds(tmp_path, name):
    log = tmp_path / name / "stats.log"
    log.parent.mkdir()
    sides = ffmpeg.input("testsrc=size=64x48:rate=25:duration=0.2", f="lavfi").split()
    compared = ffmpeg.filter([sides[0], sides[1]], "psnr", stats_file=log)
    find_ffmpeg().run(arguments(compared.output("-", f="null")))
    assert log.read_text().count("psnr_avg:inf") == 5


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_read_and_written_under_the_very_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    source = ffmpeg.input("testsrc=size=64x48:rate=25:duration=0.2", f="lavfi").filter("format", pix_fmts="yuv420p")
    find_ffmpeg().run(arguments(source.output(url(f"{name}.mkv"), **{"c:v": "ffv1"})))
    find_ffmpeg().run(arguments(ffmpeg.input(url(f"{name}.mkv"))["v:0"].output(url(f"{name}.y4m"))))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([f"{name}.mkv", f"{name}.y4m"])


def test_no_filter_is_joined_by_hand():
    """Filters come from ffmpeg-python alone: nothing else writes an option that takes their text."""
    options = re.compile(r"""["'](-lavfi|-?(vf|af|filter_complex|filter:v))["'=\]:]""")
    found = [path for path in (ROOT / "harness").rglob("*.py") if options.search(path.read_text())]
    assert [path.relative_to(ROOT).as_posix() for path in found] == []
