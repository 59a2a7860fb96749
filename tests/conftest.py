"""Where the tests find data that is not committed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of development data beside the checkout; the test skips where it is absent."""
    folder = Path(os.environ.get("HARNESS_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "corpora").is_dir():
        pytest.skip(f"no development data at {folder} (set HARNESS_SHARED)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def interrupts_reach_children() -> Iterator[None]:
    """A shell's background jobs ignore SIGINT and hand that on; tests that interrupt a child need it handled."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A clip as a folder of pictures of soft noise: its colours are converted while it is read."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (24, 12, 16, 3), np.uint8)
    for index, picture in enumerate(noise):
        Image.fromarray(picture).resize((318, 242), Image.Resampling.BICUBIC).save(folder / f"{index:05d}.png")
    return folder
