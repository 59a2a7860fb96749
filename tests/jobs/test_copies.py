"""What lies at a URL is copied once, again where it changed, and never outside its folder."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import fsspec
import pytest
from PIL import Image

from corpora.loader import cache_folder
from harness.errors import HarnessError, InputError
from harness.jobs.copies import COPIED, local_copy
from tests.helpers import TINY
from tests.helpers.commands import run


@pytest.fixture
def there(tmp_path: Path) -> str:
    """A URL under which two files lie, in a memory that this process alone sees."""
    url = f"memory://{tmp_path.name}"
    fill(url, {"a.txt": b"one", "sub/b.txt": b"two"})
    return url


def fill(url: str, files: dict[str, bytes]) -> None:
    system, root = fsspec.core.url_to_fs(url)
    for name, content in files.items():
        system.pipe_file(f"{root}/{name}", content)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_is_copied_once_and_what_changed_again(there: str, tmp_path: Path) -> None:
    heard: list[str] = []
    copy = local_copy(there, tmp_path / "copies", heard.append)
    assert copy.name == tmp_path.name and contents(copy) == {"a.txt": b"one", "sub/b.txt": b"two"}
    assert re.fullmatch(rf"copying 2 of 2 files .0.0 MB in all. from {there} to {copy}", *heard)
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*.txt")}
    assert local_copy(there, tmp_path / "copies", heard.append) == copy and len(heard) == 1
    fill(there, {"a.txt": b"1"})
    local_copy(there, tmp_path / "copies", heard.append)
    assert contents(copy)["a.txt"] == b"1" and heard[1].startswith("copying 1 of 2 files")
    assert (copy / "sub/b.txt").stat().st_mtime_ns == before[copy / "sub/b.txt"]
    system, root = fsspec.core.url_to_fs(there)
    system.rm(f"{root}/sub/b.txt")
    local_copy(there, tmp_path / "copies", heard.append)
    assert contents(copy) == {"a.txt": b"1"} and len(heard) == 2


def test_a_file_keeps_its_name_and_a_run_that_was_killed_what_it_had(there: str, tmp_path: Path) -> None:
    copy = local_copy(f"{there}/sub/b.txt", tmp_path / "copies")
    assert copy.name == "b.txt" and copy.read_bytes() == b"two"
    calls: list[str] = []
    folder = local_copy(there, tmp_path / "copies")
    listing = folder.parent / COPIED
    kept = json.loads(listing.read_text())
    listing.write_text(json.dumps({name: stamp for name, stamp in kept.items() if name.endswith("a.txt")}))
    local_copy(there, tmp_path / "copies", calls.append)
    assert len(calls) == 1 and calls[0].startswith("copying 1 of 2 files") and json.loads(listing.read_text()) == kept
    listing.write_text("{cut")
    (folder / "gone.png").touch()  # copied by the killed run, and no longer there
    local_copy(there, tmp_path / "copies", calls.append)
    assert calls[1].startswith("copying 2 of 2 files") and json.loads(listing.read_text()) == kept
    assert contents(folder) == {"a.txt": b"one", "sub/b.txt": b"two"}


def test_what_says_nothing_of_its_content_is_copied_each_time(
    there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.jobs import copies

    monkeypatch.setattr(copies, "STAMPS", ())
    heard: list[str] = []
    for _ in range(2):
        copies.local_copy(there, tmp_path / "copies", heard.append)
    assert len(heard) == 2


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("memory://nothing-here", "nothing lies at memory://nothing-here .allowed: a file, or a folder"),
        ("nothing://x/y", "input nothing://x/y: "),
        ("s3://", "input s3:// names no place"),
    ],
)
def test_a_url_that_leads_nowhere_is_one_line(url: str, said: str, tmp_path: Path) -> None:
    pytest.importorskip("s3fs")
    with pytest.raises(InputError, match=said):
        local_copy(url, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_host_that_cannot_be_reached_is_no_empty_one(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    with pytest.raises(HarnessError, match=r"cannot read http://127\.0\.0\.1:1/x\.mp4: .*connect") as refused:
        local_copy("http://127.0.0.1:1/x.mp4", tmp_path)
    assert refused.value.exit_code == 1 and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("status", "kind", "says"), [(404, InputError, "nothing lies at"), (503, HarnessError, "cannot read .*: 503")]
)
def test_only_a_server_that_has_nothing_says_so(
    status: int, kind: type[HarnessError], says: str, tmp_path: Path
) -> None:
    pytest.importorskip("aiohttp")

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(HarnessError, match=says) as refused:
            local_copy(f"http://127.0.0.1:{server.server_port}/x.mp4", tmp_path)
        server.shutdown()
    assert type(refused.value) is kind and not list(tmp_path.iterdir())


def test_names_that_leave_the_folder_are_refused(there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.jobs import copies

    class Strange:
        def info(self, path: str) -> dict[str, str]:
            return {"type": "directory"}

        def find(self, path: str, detail: bool) -> dict[str, dict[str, int]]:
            return {"/root/../../escaped": {"size": 1}}

    monkeypatch.setattr(copies, "open_url", lambda url, what: (Strange(), "/root"))
    with pytest.raises(InputError, match="which would lie outside its copy"):
        copies.local_copy("strange://root", tmp_path / "copies")
    assert not (tmp_path / "escaped").exists()


@pytest.mark.slow
def test_a_set_of_pictures_in_a_bucket_is_measured_as_one_in_a_folder(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    for name, level in (("images", 90), ("masks", 255)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(2):
            picture = Image.new("L" if name == "masks" else "RGB", (32, 24))
            picture.paste(level if name == "masks" else (level, 20, 20), (4 + number, 4, 20, 20))
            picture.save(tmp_path / "set" / name / f"{number}.png")
    s3fs.S3FileSystem().put(str(tmp_path / "set"), "records/set", recursive=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_folder().is_relative_to(tmp_path)
    found = []
    for where in (tmp_path / "set", f"{bucket}/set", f"{bucket}/set"):
        words = ["--images", f"{where}/images", "--masks", f"{where}/masks", "--name", "set", "--model", TINY]
        done = run("eval", *words, "--working-size", "native", "--json")
        found.append(json.loads(done.stdout))
        assert ("copying 2 of 2 files" in done.stderr) == (len(found) == 2)
    assert found[0] == found[1] == found[2]


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_one_line(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"(cannot read|nothing lies at) s3://absent-one/x"):
        local_copy("s3://absent-one/x", tmp_path)
