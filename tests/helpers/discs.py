"""A small set whose objects are bright discs, and what of it is measured."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from harness.models.placeholder import write_placeholder
from harness.studies.eval import part

IMAGES = 5


def write_discs(root: Path) -> Path:
    """Pictures, masks, one folder of maps, and a placeholder model."""
    rng = np.random.default_rng(1)
    for index in range(IMAGES):
        height, width = 40 + index, 57
        y, x = np.mgrid[:height, :width]
        disc = np.hypot(y - rng.integers(12, 28), x - rng.integers(15, 40)) < rng.integers(5, 12)
        picture = np.where(disc[..., None], 220, 60) + rng.integers(-20, 20, (height, width, 3))
        for kind, pixels in (("images", picture), ("masks", disc * 255), ("maps", picture[..., 0])):
            (root / kind).mkdir(exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(root / kind / f"{index:02d}.png")
    write_placeholder(root / "model.onnx")
    return root


def measuring(monkeypatch) -> list[str]:
    """The pictures that are measured from here on, in order."""
    measured: list[str] = []
    real = part.read_pair
    monkeypatch.setattr(part, "read_pair", lambda pair, t: measured.append(pair.name) or real(pair, t))
    return measured


def copied(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"
