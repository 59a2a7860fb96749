"""The decoded cache answers for the pictures and masks that are there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from corpora.loader import Pair, load_pairs, pairs_in
from corpora.synth import ImageOptions, write_images
from harness.errors import HarnessError, InputError
from tests.helpers import ROOT
from train.data import decoded_set


def write_pair(folder: Path, left: bool) -> None:
    """A grey picture and a mask of its left or right half, as files that always have the same size."""
    mask = np.zeros((48, 64), np.uint8)
    mask[:, :32] = 255 * left
    mask[:, 32:] = 255 * (not left)
    for kind, pixels in (("images", np.full((48, 64), 128, np.uint8)), ("masks", mask)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / kind / "0.bmp")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))


@pytest.mark.slow
def test_the_decoded_cache_goes_by_content(tmp_path: Path) -> None:
    """Masks were repaired in place, or lie in another folder's copy: names and sizes are the same, pixels are not."""

    def decoded(folder: str) -> np.ndarray:
        pairs = pairs_in(tmp_path / folder / "images", tmp_path / folder / "masks")
        return decoded_set(pairs, 48, tmp_path / "cache").truth.copy()

    write_pair(tmp_path / "one", left=True)
    write_pair(tmp_path / "two", left=False)
    left = decoded("one")
    assert left.sum() == 48 * 32
    assert (decoded("two") == 1 - left).all()
    write_pair(tmp_path / "one", left=False)
    assert (decoded("one") == 1 - left).all()


@pytest.mark.slow
def test_a_run_is_not_resumed_on_masks_that_were_repaired(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    from train.loop import train
    from train.recipe import load_recipe

    write_images(tmp_path, ImageOptions(count=80, size=(72, 80)))
    pairs = load_pairs("synth", tmp_path)
    sizes = {"short_side": 48, "crop_size": 32, "val_short_side": 32}
    recipe = load_recipe("v1", epochs=1, batch_size=8, **sizes)
    train(recipe, pairs, tmp_path / "run", tmp_path / "cache", "cpu", threads=1)
    content = bytearray(pairs[0].mask.read_bytes())
    content[-1] ^= 1  # same size
    pairs[0].mask.write_bytes(content)
    with pytest.raises(InputError, match=r"cannot resume, its content_sha256"):
        train(recipe, pairs, tmp_path / "run", tmp_path / "cache", "cpu", resume=True, threads=1)


def test_a_damaged_cache_is_named(tmp_path: Path) -> None:
    write_pair(tmp_path, left=True)
    pairs, cache = pairs_in(tmp_path / "images", tmp_path / "masks"), tmp_path / "cache"
    decoded_set(pairs, 48, cache)
    for name, content in (("rgb", b"short"), ("json", b"{}"), ("json", b'{"heights": [1')):
        (file,) = cache.glob(f"*.{name}")
        file.write_bytes(content)
        with pytest.raises(HarnessError, match=rf"{file.name} is damaged, delete it"):
            decoded_set(pairs, 48, cache)


@pytest.mark.slow
def test_a_killed_decode_leaves_no_cache(pairs: list[Pair], tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from corpora.loader import load_pairs\nfrom train.data import decoded_set\n"
        "decoded_set(load_pairs('synth', sys.argv[1]), 48, Path(sys.argv[2]), lambda n, t: print(n, flush=True))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, pairs[0].image.parents[2], tmp_path / "cache"],
        cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout and process.stdout.readline()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(0.1)
    assert len(decoded_set(pairs, 48, tmp_path / "cache")) == len(pairs)
