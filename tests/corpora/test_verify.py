"""`verify` finds each kind of fault, and its digest changes with any byte; the commands say so."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from corpora.loader import find_corpus
from corpora.manifest import Layout, Variant, load_manifest
from corpora.synth import ClipOptions, ImageOptions, write_clips, write_images
from corpora.verify import Check, verify
from tests.helpers import ROOT
from tests.helpers.clips import write_video


def check(name: str, root: Path) -> Check:
    return verify(find_corpus(load_manifest(name), root))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path, ImageOptions(count=3, size=(64, 48)))


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    return write_clips(tmp_path, ClipOptions(count=2, frames=3, size=(64, 48)))


def test_a_sound_set_and_its_digest(images: Path) -> None:
    found = check("synth", images)
    assert found.sound and (found.count, found.files, found.variant) == (3, 6, "")
    files = sorted(path for kind in ("images", "masks") for path in (images / kind).iterdir())
    lines = [f"{path.relative_to(images)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in files]
    assert found.digest == hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
    heard: list[tuple[int, int]] = []
    again = verify(find_corpus(load_manifest("synth"), images), 1, lambda done, total: heard.append((done, total)))
    assert again == found and heard == [(1, 3), (2, 3), (3, 3)]


def test_each_fault_is_found(images: Path) -> None:
    good = check("synth", images).digest
    (images / "masks/0000.png").rename(images / "masks/0009.png")
    cut = (images / "images/0001.png").read_bytes()
    (images / "images/0001.png").write_bytes(cut[: len(cut) // 2])
    Image.new("L", (60, 48)).save(images / "masks/0002.png")
    found = check("synth", images)
    assert not found.sound and found.digest != good
    assert found.unpaired == ("images/0000.png", "masks/0009.png")
    assert found.unreadable == ("images/0001.png",)
    assert found.mismatched == ("masks/0002.png",)


def test_faults_of_clips_are_found(clips: Path) -> None:
    assert check("synth-clips", clips).sound
    (clips / "masks/00-still/00002.png").unlink()
    video = clips / "clips/01-pan.y4m"
    (clips / "masks/spare").mkdir()
    strange = write_video(clips.parent / "a.mp4", 2).read_bytes().replace(b"avc1", b"zzzz")  # a codec that nobody knows
    for content in (b"not a video", strange):
        video.write_bytes(content)
        found = check("synth-clips", clips)
        assert found.mismatched == ("clips/00-still.y4m",)
        assert found.unreadable == ("clips/01-pan.y4m",)
        assert found.unpaired == ("masks/spare",)


@pytest.mark.slow
def test_real_editions_are_known_by_their_digest(shared: Path) -> None:
    found = check("davis-2016", shared / "corpora")
    assert found.sound and (found.count, found.expected) == (7, 50)
    assert found.variant == "seven validation sequences"


def test_an_edition_is_known_whichever_layout_its_files_lie_in(images: Path) -> None:
    layouts = (Layout("images", "masks"), Layout("Imgs", "Imgs", (".jpg",), (".png",)), Layout("images", "truth"))
    first = check("synth", images)
    manifest = replace(load_manifest("synth"), variants=(Variant("first", 3, first.digest),), layouts=layouts)
    (images / "masks").rename(images / "truth")
    moved = verify(find_corpus(manifest, images))
    assert moved.variant == "first" and moved.digest != first.digest
    (images / "truth/0001.png").write_bytes((images / "truth/0002.png").read_bytes())
    assert verify(find_corpus(manifest, images)).variant == ""


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", "corpora", *words],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "200"} | environment,
        cwd=ROOT,
        check=False,
    )


@pytest.mark.slow
def test_the_commands(tmp_path: Path) -> None:
    small = "--images 2 --size 64x48 --clips 1 --clip-size 64x48 --json"
    made = run("synth", str(tmp_path), *small.split())
    assert made.returncode == 0 and json.loads(made.stdout)["synth"] == str(tmp_path / "synth")
    good = run("verify", "synth", "--root", str(tmp_path), "--json")
    assert good.returncode == 0 and json.loads(good.stdout)["sound"] is True
    (tmp_path / "synth/masks/0000.png").unlink()
    bad = run("verify", "synth", "--root", str(tmp_path))
    assert bad.returncode == 1 and "images/0000.png" in bad.stdout
    assert bad.stderr.count("\n") == 1 and "not sound: 1 unpaired, 0 unreadable" in bad.stderr
    listed = run("list", "--json", HARNESS_CORPORA=str(tmp_path), XDG_CACHE_HOME=str(tmp_path))
    rows = {row["name"]: row for row in json.loads(listed.stdout)["corpora"]}
    assert rows["synth-clips"]["folder"] == str(tmp_path / "synth-clips") and rows["pascal-s"]["folder"] == ""
    wrong = run("synth", str(tmp_path / "x"), "--size", "big")
    assert wrong.returncode == 2 and "allowed: WxH" in wrong.stderr
