"""Whatever a path leads to is written, and neither a link nor a FIFO nor a device is replaced by a file."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from harness.errors import HarnessError, InputError
from harness.files import check_writable, whole_file, write_text
from harness.locks import file_held
from tests.helpers import TINY
from tests.helpers.clips import write_clip
from tests.helpers.commands import run_score


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """A FIFO that nobody reads yet."""
    os.mkfifo(tmp_path / "log.json")
    return tmp_path / "log.json"


class Reader(threading.Thread):
    """Reads a FIFO to its end."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.path, self.text = path, ""
        self.start()

    def run(self) -> None:
        self.text = self.path.read_text()


@pytest.mark.parametrize("linked", [False, True])
def test_the_reader_of_a_fifo_gets_all_and_the_fifo_stays(fifo: Path, linked: bool) -> None:
    target = fifo
    if linked:
        target = fifo.with_name("link.json")
        target.symlink_to(fifo)
    reader = Reader(fifo)
    check_writable(target)
    with file_held(target):
        write_text(target, "whole" * 50_000)
    reader.join(10)
    assert reader.text == "whole" * 50_000 and fifo.is_fifo() and target.is_symlink() == linked
    assert {path.name for path in fifo.parent.iterdir()} == {fifo.name, target.name}


@pytest.mark.slow
def test_a_score_is_written_into_a_fifo(fifo: Path) -> None:
    clip = write_clip(fifo.with_name("clip.y4m"), frames=2)
    reader = Reader(fifo)
    done = run_score(clip, clip, "--model", TINY, "--metric", "none", "--log", fifo)
    assert done.exit_code == 0, done.output
    reader.join(10)
    assert '"saliency_mean"' in reader.text and fifo.is_fifo()


def test_a_device_stays_one_by_whatever_link(tmp_path: Path) -> None:
    link = tmp_path / "null.txt"
    link.symlink_to(os.devnull)
    check_writable(link)
    with file_held(link):
        write_text(link, "nothing")
    assert link.is_char_device() and [path.name for path in tmp_path.iterdir()] == ["null.txt"]
    with pytest.raises(FileExistsError), whole_file(link, anew=True):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_device_that_takes_nothing_is_one_line() -> None:
    with pytest.raises(HarnessError, match=r"writing /dev/full failed: No space left on device"):
        write_text(Path("/dev/full"), "whole")


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_what_it_leads_to_is_replaced(there: bool, tmp_path: Path) -> None:
    real, link = tmp_path / "real" / "log.json", tmp_path / "link.json"
    real.parent.mkdir()
    if there:
        real.write_text("old")
    link.symlink_to(real)
    check_writable(link)
    with file_held(link), pytest.raises(InputError, match="is being written by"):
        file_held(real).__enter__()
    write_text(link, "new")
    assert link.is_symlink() and real.read_text() == "new"
    assert [path.name for path in real.parent.iterdir()] == ["log.json"]


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # its path may have 108 bytes
    with socket.socket(socket.AF_UNIX) as ours:
        ours.bind("there")
        with pytest.raises(InputError, match=r"cannot write there: it is a socket"):
            write_text(Path("there"), "whole")
