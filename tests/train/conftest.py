"""Small folds, since a run in a test validates on 16 pictures, not 64, and small corpora."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from corpora.loader import Pair, load_pairs
from corpora.synth import ImageOptions, write_images
from train import data


@pytest.fixture(scope="package", autouse=True)
def small_folds() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "FEWEST_HELD", 16)
        yield


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_images(folder, ImageOptions(count=80, size=(72, 80), seed=5))
    return folder


@pytest.fixture(scope="module")
def pairs(corpus: Path) -> list[Pair]:
    return load_pairs("synth", corpus)[:32]
