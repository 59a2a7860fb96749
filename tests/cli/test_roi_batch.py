"""`harness roi-encode` over many clips, from lists and pipes, and without doing anything."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from harness.media.open import open_clip
from tests.helpers.clips import write_clip
from tests.helpers.commands import run
from tests.helpers.schemas import checked

HOW = ("--model", "centre-prior", "--preset", "ultrafast")


@pytest.mark.slow
def test_many_clips_go_on_after_a_bad_one_and_the_worst_decides(tmp_path: Path) -> None:
    good = [write_clip(tmp_path / f"{name}.mkv", frames=2) for name in ("-a: [b]", "100%d")]
    bad, names = tmp_path / "bad.mkv", tmp_path / "names.txt"
    bad.write_bytes(b"no video")
    names.write_text(f"{bad}\n\n{good[1]}\n")
    folder = tmp_path / "new"
    done = run("roi-encode", *HOW, "--out-dir", folder, "--list", names, "--keep-going", "--json", "--", good[0])
    assert done.exit_code == 2
    first, failed, second = checked("roi-encode", done.stdout)["encodes"]
    assert failed["clip"] == str(bad) and failed["exit_code"] == 2 and "is not a video" in failed["error"]
    assert [Path(each["path"]).name for each in (first, second)] == ["-a: [b].roi.mkv", "100%d.roi.mkv"]
    assert sorted(path.name for path in folder.iterdir()) == ["-a: [b].roi.mkv", "100%d.roi.mkv"]
    stopped = run("roi-encode", *HOW, "--out-dir", tmp_path / "other", bad, good[0])
    assert stopped.exception and not (tmp_path / "other").exists()


def test_places_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    one, two = (write_clip(tmp_path / name / "clip.mkv", frames=1) for name in _folders(tmp_path, "a", "b"))
    for words, says in (
        ([one, two, "--out-dir", tmp_path / "c"], "in one place"),
        ([one, two, "--out", tmp_path / "c.mkv"], "2 clips"),
        ([one, write_clip(tmp_path / "d.mkv", frames=1), "--preview", tmp_path / "look.png"], "with 2 clips"),
        (["-"], "no name"),
        ([], "no clip"),
    ):
        done = run("roi-encode", *HOW, *words)
        assert says in str(done.exception) and done.exception.exit_code == 2  # type: ignore[attr-defined]


def _folders(root: Path, *names: str) -> tuple[str, ...]:
    for name in names:
        (root / name).mkdir()
    return names


def test_a_dry_run_says_all_and_writes_nothing(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=2, audio=True)
    done = run("roi-encode", *HOW, "--dry-run", clip, "-o", tmp_path / "out.mp4")
    assert done.exit_code == 0, done.output
    assert "libx264" in done.output and "+faststart" in done.output and "-map 1:1" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mkv"]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mkv", ".y4m"])
def test_a_fifo_is_kept_while_it_is_encoded(suffix: str, tmp_path: Path) -> None:
    content = write_clip(tmp_path / f"clip{suffix}", frames=3).read_bytes()
    fifo, out = tmp_path / "pipe", tmp_path / "out.mkv"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(content,), daemon=True)
    writer.start()
    done = run("roi-encode", *HOW, fifo, "-o", out)
    writer.join(5)
    assert done.exit_code == 0, done.output
    assert "is kept in" in done.stderr and len(list(open_clip(out))) == 3
