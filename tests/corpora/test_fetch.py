"""Corpora are fetched from a real HTTP server on loopback: good, wrong, interrupted and hostile archives."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from corpora.fetch import fetch, unzip
from corpora.loader import load_clips, load_pairs, pairs_in
from corpora.manifest import Layout, Manifest, Source, Variant, load_manifest
from harness.errors import HarnessError, InputError


def png() -> bytes:
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((16, 12)).save(stream, "PNG")
    return stream.getvalue()


def archive_of(*names: str, data: bytes | None = None) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, png() if data is None else data)
    return stream.getvalue()


class Server:
    """Serves `files` by path; a path in `cut` breaks off after half of its bytes. `asked` lists the requests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut: set[str] = set()
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                data = outer.files.get(self.path)
                if data is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if self.path in outer.cut else data)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


GOOD = archive_of("TINY/images/a.png", "TINY/images/b.png", "TINY/masks/a.png", "TINY/masks/b.png", "__MACOSX/._x")


def manifest_for(server: Server, *paths: str, data: bytes = GOOD) -> Manifest:
    source = Source("tiny.zip", tuple(server.base + path for path in paths), hash="sha256:" + sha256(data))
    layouts = (Layout("images", "masks"),)
    return Manifest("tiny", "Tiny", "test", 2, ("TINY",), layouts, "none", "none", "", sources=(source,))


def unpinned(manifest: Manifest, digest: str = "", **known: int) -> Manifest:
    """Without a hash of its archive; `digest` is that of the one known edition, by default the one of `GOOD`."""
    lines = "".join(f"{folder}/{name}.png {sha256(png())}\n" for folder in ("images", "masks") for name in "ab")
    edition = Variant("original", 2, digest or sha256(lines.encode()))
    return replace(manifest, sources=(replace(manifest.sources[0], hash=None, **known),), variants=(edition,))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def quiet(text: str) -> None:
    pass


def test_a_set_is_fetched_once_checked_and_unpacked(server: Server, tmp_path: Path) -> None:
    server.files["/tiny.zip"] = GOOD
    manifest = manifest_for(server, "/tiny.zip")
    corpus = fetch(manifest, tmp_path, note=quiet)
    assert [pair.name for pair in pairs_in(corpus.images, corpus.masks)] == ["a", "b"]
    assert not list(tmp_path.rglob("._x"))
    assert fetch(manifest, tmp_path, note=quiet) == corpus
    assert server.asked == ["/tiny.zip"]


def test_mirrors_are_tried_in_turn(server: Server, tmp_path: Path) -> None:
    server.files |= {"/wrong.zip": archive_of("other"), "/good.zip": GOOD}
    notes: list[str] = []
    fetch(manifest_for(server, "/absent.zip", "/wrong.zip", "/good.zip"), tmp_path, note=notes.append)
    assert server.asked == ["/absent.zip", "/wrong.zip", "/good.zip"]
    assert any("404" in note for note in notes) and any("SHA256 hash" in note for note in notes)


def test_a_wrong_hash_leaves_no_set_and_no_archive(server: Server, tmp_path: Path) -> None:
    server.files["/tiny.zip"] = archive_of("TINY/images/a.png", "TINY/masks/a.png")
    with pytest.raises(HarnessError, match=r"no mirror delivered tiny\.zip.*hash"):
        fetch(manifest_for(server, "/tiny.zip"), tmp_path, note=quiet)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("pinned", [True, False])
def test_an_interrupted_download_starts_clean_next_time(server: Server, tmp_path: Path, pinned: bool) -> None:
    server.files["/tiny.zip"] = GOOD
    server.cut.add("/tiny.zip")
    manifest = manifest_for(server, "/tiny.zip")
    if not pinned:
        manifest = unpinned(manifest)
    with pytest.raises(HarnessError, match=r"no mirror delivered"):
        fetch(manifest, tmp_path, note=quiet)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    server.cut.clear()
    corpus = fetch(manifest, tmp_path, note=quiet)
    assert len(pairs_in(corpus.images, corpus.masks)) == 2


def test_a_size_is_checked_where_only_that_is_known(server: Server, tmp_path: Path) -> None:
    server.files["/tiny.zip"] = GOOD
    manifest = unpinned(manifest_for(server, "/tiny.zip"), bytes=len(GOOD) + 1)
    with pytest.raises(HarnessError, match=r"bytes instead of"):
        fetch(manifest, tmp_path, note=quiet)


@pytest.mark.parametrize("name", ["../outside.png", "/abs.png", "a/../../outside.png", "..\\outside.png", "C:/x.png"])
def test_an_archive_that_would_leave_its_folder_is_refused_whole(server: Server, tmp_path: Path, name: str) -> None:
    hostile = archive_of("TINY/images/a.png", "TINY/masks/a.png", name)
    server.files["/tiny.zip"] = hostile
    with pytest.raises(HarnessError, match=r"would leave the folder; nothing was unpacked"):
        fetch(manifest_for(server, "/tiny.zip", data=hostile), tmp_path / "in", note=quiet)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["archives", "in", "tiny", "tiny.zip"]


def test_links_and_damaged_archives_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("images")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc")
    with pytest.raises(HarnessError, match=r"'images' is a link"):
        unzip(tmp_path / "link.zip", tmp_path / "out")
    damaged = bytearray(archive_of("a.txt", data=b"x" * 4000))
    damaged[200] ^= 255
    (tmp_path / "bad.zip").write_bytes(damaged)
    with pytest.raises(HarnessError, match=r"bad\.zip is damaged"):
        unzip(tmp_path / "bad.zip", tmp_path / "out")


def test_an_archive_of_something_else_is_not_taken_for_the_set(server: Server, tmp_path: Path) -> None:
    other = archive_of("readme.txt")
    server.files["/tiny.zip"] = other
    with pytest.raises(HarnessError, match=r"do not hold its folders"):
        fetch(manifest_for(server, "/tiny.zip", data=other), tmp_path, note=quiet)
    assert not (tmp_path / "TINY").exists()


@pytest.mark.slow
def test_generated_sets_are_written_and_unfetchable_ones_say_where_to_go(tmp_path: Path) -> None:
    fetch(load_manifest("synth"), tmp_path)
    fetch(load_manifest("synth-clips"), tmp_path)
    assert len(load_pairs("synth", tmp_path)) == 24 and len(load_clips("synth-clips", tmp_path)) == 3
    with pytest.raises(InputError, match=r"HKU-IS cannot be fetched by a program: get it from https"):
        fetch(load_manifest("hku-is"), tmp_path)


def damaged(data: bytes) -> bytes:
    """The archive with a bit changed in the middle of its first file, whose checksum no longer holds."""
    changed = bytearray(data)
    changed[data.index(b"IDAT") + 8] ^= 1
    return bytes(changed)


def test_a_damaged_archive_that_nothing_vouches_for_is_fetched_again_once(server: Server, tmp_path: Path) -> None:
    server.files["/tiny.zip"] = GOOD
    manifest = unpinned(manifest_for(server, "/tiny.zip"))
    kept = tmp_path / "archives/tiny/tiny.zip"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(damaged(GOOD))
    notes: list[str] = []
    assert len(load_pairs_of(fetch(manifest, tmp_path, note=notes.append).folder)) == 2
    assert server.asked == ["/tiny.zip"] and any("damaged" in note and "again" in note for note in notes)


def load_pairs_of(folder: Path) -> list[object]:
    return list(pairs_in(folder / "images", folder / "masks"))


def test_an_archive_that_stays_damaged_is_one_line_and_is_not_kept(server: Server, tmp_path: Path) -> None:
    server.files["/tiny.zip"] = damaged(GOOD)
    with pytest.raises(HarnessError, match=r"tiny\.zip is damaged: Bad CRC-32"):
        fetch(unpinned(manifest_for(server, "/tiny.zip")), tmp_path, note=quiet)
    assert server.asked == ["/tiny.zip", "/tiny.zip"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_an_archive_unpacks_to_what_is_stated_or_to_twenty_times_its_size(server: Server, tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("TINY/images/a.png", "TINY/masks/a.png"):
            archive.writestr(name, png())
        archive.writestr("TINY/zeros", bytes(65 << 20))
    bomb = stream.getvalue()
    server.files["/tiny.zip"] = bomb
    manifest = manifest_for(server, "/tiny.zip", data=bomb)
    with pytest.raises(HarnessError, match=r"holds 68,157.* bytes in .* \(allowed: 67,108,864.*--yes\)"):
        fetch(manifest, tmp_path, note=quiet)
    assert not (tmp_path / "TINY").exists() and (tmp_path / "archives/tiny/tiny.zip").exists()
    stated = replace(manifest, sources=(replace(manifest.sources[0], unpacked=66 << 20),))
    assert fetch(stated, tmp_path, note=quiet).folder == tmp_path / "TINY/TINY"
    assert fetch(manifest, tmp_path / "else", yes=True, note=quiet).folder == tmp_path / "else/TINY/TINY"


def test_an_archive_larger_than_the_disk_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "good.zip").write_bytes(GOOD)
    monkeypatch.setattr("shutil.disk_usage", lambda place: type("Usage", (), {"free": 10}))
    with pytest.raises(HarnessError, match=r"has 10 free; nothing was unpacked"):
        unzip(tmp_path / "good.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_over_plain_http_bytes_are_taken_only_where_something_says_what_they_must_be(
    server: Server, tmp_path: Path
) -> None:
    server.files["/tiny.zip"] = GOOD
    manifest = unpinned(manifest_for(server, "/tiny.zip"))
    with pytest.raises(HarnessError, match=r"plain HTTP, and nothing says what its bytes must be"):
        fetch(replace(manifest, variants=()), tmp_path / "blind", note=quiet)
    assert server.asked == []
    other = unpinned(manifest, digest="0" * 64)
    with pytest.raises(HarnessError, match=r"no known edition of Tiny: digest .*--yes"):
        fetch(other, tmp_path / "other", note=quiet)
    assert [path for path in (tmp_path / "other").rglob("*") if path.is_file()] == []
    assert fetch(other, tmp_path / "other", yes=True, note=quiet).folder.is_dir()
