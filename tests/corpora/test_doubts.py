"""Sets that look larger than they are, and the digests that known editions have in tables."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from corpora.doubts import doubts_about, doubts_about_clips
from corpora.loader import ClipPair, Pair, clip_digest, content_digest, load_clips, load_pairs
from corpora.manifest import known_digests, load_manifest, manifest_names


def picture(path: Path, seed: int, side: int = 64) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)).save(path)
    return path


def pairs_of(*images: Path) -> list[Pair]:
    return [Pair(path.stem, path, path) for path in images]


def test_a_sound_set_raises_none(tmp_path: Path) -> None:
    assert doubts_about(pairs_of(*(picture(tmp_path / f"{seed}.png", seed) for seed in range(3)))) == []


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_pictures_that_are_linked_are_found(tmp_path: Path, link: object) -> None:
    first = picture(tmp_path / "0.png", 0)
    for number in range(1, 4):
        link(first, tmp_path / f"{number}.png")  # type: ignore[operator]
    assert doubts_about(pairs_of(*sorted(tmp_path.glob("*.png")))) == [
        "3 of 4 pictures are links, or one file under several names",
        "3 of 4 pictures are equal to another one",
    ]


def test_copies_and_tiny_pictures_are_found(tmp_path: Path) -> None:
    first, tiny = picture(tmp_path / "0.png", 0), picture(tmp_path / "2.png", 2, side=16)
    copy = shutil.copy(first, tmp_path / "1.png")
    assert doubts_about(pairs_of(first, Path(copy), tiny)) == [
        "1 of 3 pictures are equal to another one",
        "1 of 3 pictures have a side below 32 pixels",
    ]


def test_a_clip_may_stand_still_but_not_be_another_one(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        for number in range(2):
            picture(tmp_path / name / f"{number}.png", seed=ord(name))
    clips = [ClipPair(name, tmp_path / name, tmp_path / name) for name in ("a", "b", "c")]
    assert doubts_about_clips(clips) == []
    shutil.rmtree(tmp_path / "c")
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    assert doubts_about_clips(clips) == ["1 of 3 clips are equal to another one"]


def test_pins_are_of_sets_that_exist_and_none_stands_for_two(shared: Path) -> None:
    pins = {name: known_digests(name) for name in manifest_names()}
    every = [digest for known in pins.values() for digests in known.values() for digest in digests]
    assert len(every) == len(set(every)) > 20
    assert {name for name, known in pins.items() if known} == {"ecssd", "duts-te", "davis-2016"}
    assert len(pins["davis-2016"]) == next(v for v in load_manifest("davis-2016").variants if v.clips).count == 20


@pytest.mark.slow
def test_the_sets_at_hand_are_the_pinned_ones(shared: Path) -> None:
    assert content_digest(load_pairs("ecssd", shared / "corpora")) in known_digests("ecssd")["ecssd"]
    known = known_digests("davis-2016")
    for clip in load_clips("davis-2016", shared / "corpora"):
        assert known[f"davis-2016/{clip.name}"] == {clip_digest(clip)}
