"""A file's digest is that of what it holds now, and is not worked out twice."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path

import pytest

from corpora import memo
from harness.errors import InputError


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(memo, "_known", {})
    return tmp_path / "cache"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read."""
    names: list[str] = []
    real = memo.sha256_of
    monkeypatch.setattr(memo, "sha256_of", lambda path: names.append(path.name) or real(path))
    return names


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if what was just written had been there for a while."""
    monkeypatch.setattr(memo, "FRESH", -(10**9))


def test_a_file_is_read_once_by_all_processes_until_it_changes(tmp_path, read, monkeypatch) -> None:
    settle(monkeypatch)
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"one")
    two.write_bytes(b"two")
    assert memo.digests_of([one, two, one]) == [sha(b"one"), sha(b"two"), sha(b"one")]
    memo._known.clear()  # another process
    assert memo.digests_of([one, two])[1] == sha(b"two") and read == ["one", "two", "one"]
    two.write_bytes(b"TWO")
    assert memo.digests_of([one, two]) == [sha(b"one"), sha(b"TWO")] and read[3:] == ["two"]


def test_a_repair_that_keeps_size_and_time_is_seen(tmp_path, read, monkeypatch) -> None:
    settle(monkeypatch)
    mask = tmp_path / "mask.png"
    mask.write_bytes(b"broken")
    memo.digests_of([mask])
    times = mask.stat()
    mask.write_bytes(b"mended")
    os.utime(mask, ns=(times.st_atime_ns, times.st_mtime_ns))
    for forget in (False, True):
        if forget:
            memo._known.clear()
        assert memo.digests_of([mask]) == [sha(b"mended")]


def test_a_file_that_was_written_just_now_is_read_again(tmp_path, read) -> None:
    (tmp_path / "new").write_bytes(b"new")
    memo.digests_of([tmp_path / "new"])
    memo.digests_of([tmp_path / "new"])
    assert read == ["new", "new"]


@pytest.mark.parametrize("state", ["a file in its way", "no database"])
def test_a_cache_that_cannot_be_used_costs_time_only(state: str, own_cache, tmp_path, monkeypatch) -> None:
    settle(monkeypatch)
    if state == "no database":
        (own_cache / "harness").mkdir(parents=True)
        (own_cache / "harness/memo.sqlite").write_bytes(b"no database" * 999)
        with pytest.raises(sqlite3.Error), memo._opened("digests"):
            pass
    else:
        own_cache.write_bytes(b"")
    (tmp_path / "file").write_bytes(b"x")
    assert memo.digests_of([tmp_path / "file"]) == [sha(b"x")]
    assert memo.recall("facts", ["x"]) == {}


def test_what_cannot_be_read_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match=r"absent: No such file"):
        memo.digests_of([tmp_path / "absent"])
