"""Where saliency maps come from: a model, a folder of maps that any method made, or a prior that sees nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from harness.errors import InputError
from harness.saliency.model import SaliencyModel, resized
from harness.saliency.working_size import WorkingSize

CENTRE_PRIOR = "centre-prior"
CENTRE_SIGMA = 0.25  # of each side

Mapper = Callable[[str, np.ndarray, WorkingSize], np.ndarray]
"""`(name, rgb uint8 [H, W, 3], working size)` to a map float32 or uint8 `[H, W]`."""


class MapSource(Protocol):
    """Something that has a map for a picture. `digest` changes when the maps may; `sees` is false if pixels do not
    matter, and with them working size and distortion."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str: ...

    @property
    def sees(self) -> bool: ...

    def open(self, threads: int) -> Mapper:
        """Get ready to make maps in this process, with so many threads."""
        ...


@dataclass(frozen=True)
class ModelSource:
    """A saliency model's file."""

    name: str
    path: Path
    digest: str
    sees: bool = True

    def open(self, threads: int) -> Mapper:
        model = SaliencyModel.load(self.path, self.name, self.digest, threads)
        return lambda name, rgb, working: model.map_of(rgb, working)


@dataclass(frozen=True)
class CentrePrior:
    """The map that needs no picture: a Gaussian at the centre, its sigma a quarter of each side.

    >>> CentrePrior().open(1)("", np.zeros((3, 3, 3), np.uint8), WorkingSize())[1].round(3)
    array([0.411, 1.   , 0.411], dtype=float32)
    """

    name: str = CENTRE_PRIOR
    digest: str = f"gaussian sigma {CENTRE_SIGMA}"
    sees: bool = False

    def open(self, threads: int) -> Mapper:
        return lambda name, rgb, working: np.outer(_bell(rgb.shape[0]), _bell(rgb.shape[1])).astype(np.float32)


def _bell(length: int) -> np.ndarray:
    place = (np.arange(length) + 0.5) / length - 0.5
    return np.exp(-0.5 * (place / CENTRE_SIGMA) ** 2)


@dataclass(frozen=True)
class MapFolder:
    """8-bit grey PNG maps of any method, at `<split>/<stem>.png` or `<stem>.png`; other sizes are scaled."""

    name: str
    folder: Path
    digest: str
    sees: bool = False

    @classmethod
    def at(cls, folder: Path, wanted: list[str]) -> MapFolder:
        """Check that every picture `split/stem` in `wanted` has its map; `InputError` counts those that lack one."""
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder of maps")
        found = {name: cls._find(folder, name) for name in wanted}
        missing = [name for name, path in found.items() if path is None]
        if missing:
            stem = missing[0].split("/")[-1]
            raise InputError(f"{folder}: {len(missing)} of {len(wanted)} maps are missing, the first is {stem}.png")
        sizes = "\n".join(
            f"{name} {path.stat().st_size} {path.stat().st_mtime_ns}" for name, path in found.items() if path
        )
        return cls(folder.name, folder, hashlib.sha256(sizes.encode()).hexdigest())

    @staticmethod
    def _find(folder: Path, name: str) -> Path | None:
        places = (folder / f"{name}.png", folder / f"{name.split('/')[-1]}.png")
        return next((path for path in places if path.is_file()), None)

    def open(self, threads: int) -> Mapper:
        def read(name: str, rgb: np.ndarray, working: WorkingSize) -> np.ndarray:
            path = self._find(self.folder, name)
            if path is None:
                raise InputError(f"{self.folder}: the map of {name} went missing")
            return resized(read_grey(path), rgb.shape[:2])

        return read


def read_grey(path: Path) -> np.ndarray:
    """An 8-bit picture as uint8 `[H, W]`; `InputError` when it cannot be decoded or has more than 8 bits."""
    return np.asarray(_decoded(path, "L"))


def read_rgb(path: Path) -> np.ndarray:
    """A picture as uint8 RGB `[H, W, 3]`, grey ones repeated; `InputError` when it cannot be decoded."""
    return np.asarray(_decoded(path, "RGB"))


def _decoded(path: Path, mode: str) -> Image.Image:
    try:
        with Image.open(path) as image:
            if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"):
                raise InputError(f"{path}: pixels of mode {image.mode} (allowed: 8 bits a channel)")
            return image.convert(mode)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: cannot be decoded: {error}") from error
