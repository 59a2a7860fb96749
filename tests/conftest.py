"""Where the tests find data that is not committed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.media.open import Clip
from harness.models.session import SaliencyModel, load_model
from tests.helpers import TINY
from tests.helpers.clips import noisy_clip


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


@pytest.fixture(autouse=True)
def priority_stays() -> Iterator[None]:
    """A test that leaves this process real-time would starve the machine under every later one."""
    scheduling = getattr(os, "sched_getscheduler", lambda process: None)  # not every system tells
    before = scheduling(0)
    yield
    assert scheduling(0) == before


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A clip as a folder of pictures of soft noise: its colours are converted while it is read."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (24, 12, 16, 3), np.uint8)
    for index, picture in enumerate(noise):
        Image.fromarray(picture).resize((318, 242), Image.Resampling.BICUBIC).save(folder / f"{index:05d}.png")
    return folder


@pytest.fixture
def pair_of_clips(tmp_path: Path) -> tuple[Clip, Clip]:
    """A reference and a noisy copy of it, six frames of 64x64."""
    return noisy_clip(tmp_path / "r.y4m"), noisy_clip(tmp_path / "d.y4m", noise=12)


@pytest.fixture(scope="session")
def tiny() -> SaliencyModel:
    """The smallest student of the contract's layout, open."""
    return load_model(TINY)
