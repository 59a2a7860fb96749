"""What a killed process left half-written is removed by the next one that writes there; the work of others stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.files import check_writable, scratch_folder, whole_file, whole_folder, write_text
from harness.leftovers import part_prefix
from tests.helpers import ROOT

KILLED = """
import os, signal, sys
from pathlib import Path
from harness.files import scratch_folder, whole_file, whole_folder
place = Path(sys.argv[1])
with whole_file(place / "b.mkv") as one, whole_folder(place / "maps") as two, scratch_folder(place / "c.mkv") as three:
    one.write_bytes(b"half")
    (two / "0.png").touch()
    (three / "plain.mkv").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_in(folder: Path) -> list[str]:
    """Names of what a process left that was killed while it wrote in `folder`."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], cwd=ROOT, check=False)
    assert done.returncode == -9
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    left = killed_in(tmp_path)
    assert [name.partition(".part-")[0] for name in left] == [".b", ".c", ".maps"]
    with whole_file(tmp_path / "other.txt"):
        assert [path.name.partition(".part-")[0] for path in tmp_path.iterdir()] == [".other"]


def test_the_parts_of_a_living_process_and_files_of_other_names_stay(tmp_path: Path) -> None:
    names = [f"{part_prefix('a')}aaaaaaaa.mkv", ".b.part-of-it.mkv", f"{part_prefix('c')[1:]}aaaaaaaa.mkv"]
    elsewhere = part_prefix("d").split("-")
    names.append("-".join([elsewhere[0], "00000000", "1", "1", "aaaaaaaa"]))  # of another machine
    for name in names:
        (tmp_path / name).touch()
    write_text(tmp_path / "new.txt", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "new.txt"])


def test_a_process_that_took_the_number_of_a_dead_one_does_not_keep_its_parts(tmp_path: Path) -> None:
    tag, machine, number, _, _ = part_prefix("a").split("-")
    assert int(number) == os.getpid()
    old = tmp_path / f"{tag}-{machine}-{number}-1-aaaaaaaa.mkv"
    old.touch()
    write_text(tmp_path / "new.txt", "")
    assert [path.name for path in tmp_path.iterdir()] == ["new.txt"]


def test_long_names_are_written_and_too_long_ones_refused_in_one_line(tmp_path: Path) -> None:
    write_text(tmp_path / f"{'é' * 120}.txt", "whole")
    with whole_folder(tmp_path / ("x" * 255)), scratch_folder(tmp_path / f"{'y' * 250}.mkv"):
        pass
    for attempt in (check_writable, lambda path: write_text(path, "")):
        with pytest.raises(InputError, match=r"cannot write .*File name too long"):
            attempt(tmp_path / f"{'x' * 256}")
