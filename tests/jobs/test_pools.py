"""Worker processes come from one place: they share no locks with their parent, and do not outlive it."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import psutil
import pytest

from harness.files import scratch_folder
from harness.jobs import pools
from harness.jobs.pools import process_pool
from tests.helpers import ROOT

SOURCES = sorted(
    path for folder in ("harness", "train", "corpora", "benchmarks") for path in (ROOT / folder).rglob("*.py")
)
HELD = threading.Lock()


def lock_is_free(_: int) -> bool:
    return HELD.acquire(timeout=1)


def remember(value: str) -> None:
    os.environ["REMEMBERED"] = value


def remembered(_: int) -> str:
    return os.environ["REMEMBERED"]


@pytest.mark.slow
def test_workers_share_no_lock_that_a_thread_of_their_parent_holds() -> None:
    with HELD, process_pool(1) as pool:
        assert pool.submit(lock_is_free, 0).result(60)


@pytest.mark.slow
def test_each_worker_begins_with_what_it_is_told() -> None:
    with process_pool(2, remember, "yes") as pool:
        assert list(pool.map(remembered, range(4))) == ["yes"] * 4


ENDLESS = """
import sys, time
from harness.jobs.pools import process_pool
if __name__ == "__main__":
    with process_pool(2) as pool:
        waiting = [pool.submit(time.sleep, 600) for _ in range(2)]
        pool.submit(int)
        print("started", flush=True)
        waiting[0].result()
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_parent_however_it_ends(tmp_path: Path, how: signal.Signals) -> None:
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    parent = subprocess.Popen([sys.executable, script], env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE)
    assert parent.stdout and parent.stdout.readline() == b"started\n"
    workers = psutil.Process(parent.pid).children(recursive=True)
    assert len(workers) >= 2
    parent.send_signal(how)
    parent.wait(10)
    parent.stdout.close()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive


def calls(path: Path) -> set[str]:
    """Names of what a file calls, without what they belong to."""
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {ast.unparse(node.func).rpartition(".")[2] for node in tree if isinstance(node, ast.Call)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_other_place_makes_processes(path: Path) -> None:
    if path.relative_to(ROOT).as_posix() != "harness/jobs/pools.py":
        assert not calls(path) & {"ProcessPoolExecutor", "Pool", "Process", "get_context", "set_start_method", "fork"}


def told_where_nothing_can_be_raised(mark: str) -> None:
    """A finaliser gets the signal, whose exception Python then drops; the job would go on for a minute."""

    class Gone:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(1000):
                pass

    Path(mark).touch()
    Gone()
    time.sleep(60)


@pytest.mark.slow
def test_a_worker_ends_though_the_signal_came_where_nothing_can_be_raised(tmp_path: Path, capfd) -> None:
    began = time.monotonic()
    with pytest.raises(BrokenProcessPool), process_pool(1) as pool:
        pool.submit(told_where_nothing_can_be_raised, str(tmp_path / "mark")).result()
    assert (tmp_path / "mark").exists() and time.monotonic() - began < 30
    assert "Exception ignored" not in capfd.readouterr().err


def reading_from_what_is_taken_away(mark: str) -> None:
    """A job whose thread fails once the signal came, as one does that reads what a stopped FFmpeg says."""
    stopped = threading.Event()

    def fail() -> None:
        stopped.wait()
        raise ValueError("I/O operation on closed file.")

    reader = threading.Thread(target=fail)
    reader.start()
    try:
        Path(mark).touch()
        time.sleep(60)
    finally:
        stopped.set()
        reader.join()


@pytest.mark.slow
def test_a_worker_that_is_stopped_says_nothing_of_its_threads(tmp_path: Path, capfd) -> None:
    mark = tmp_path / "mark"
    with pytest.raises(KeyboardInterrupt), process_pool(1) as pool:
        pool.submit(reading_from_what_is_taken_away, str(mark))
        while not mark.exists():
            time.sleep(0.1)
        raise KeyboardInterrupt
    assert capfd.readouterr().err == ""


def deaf(mark: str) -> None:
    """A job that hears no signal, as one that is held up in a library."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    with scratch_folder() as folder:
        Path(mark).write_text(folder.name)
        time.sleep(60)


@pytest.mark.slow
def test_what_a_worker_leaves_that_must_be_killed_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(pools, "GRACE_SECONDS", 0.5)
    mark = tmp_path / "mark"
    with pytest.raises(KeyboardInterrupt), process_pool(1) as pool:
        pool.submit(deaf, str(mark))
        while not mark.exists() or not mark.read_text():
            time.sleep(0.1)
        raise KeyboardInterrupt
    assert mark.read_text().startswith(".harness.part-")
    assert [path.name for path in tmp_path.iterdir()] == ["mark"]
