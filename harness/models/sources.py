"""Where saliency maps come from: a model, a folder of maps that any method made, or a prior that sees nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from harness.errors import InputError
from harness.media.pictures import read_grey, resized
from harness.models.model_file import ModelFile
from harness.models.registry import find_model
from harness.models.session import load_model
from harness.models.working_size import WorkingSize

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
    """A saliency model's file, under the name that tables call it by."""

    name: str
    file: ModelFile
    sees: bool = True

    @classmethod
    def of(cls, asked: str) -> ModelSource:
        """A registry id, `production`, or a path to an .onnx file, verified before any work starts.

        Raises `InputError` for an unknown name, which lists what exists, and for a file that the extractor would
        refuse.
        """
        file = find_model(asked)
        load_model(file)
        return cls(file.name, file)

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return self.file.path

    @property
    def digest(self) -> str:
        """The file's SHA-256."""
        return self.file.sha256

    def open(self, threads: int) -> Mapper:
        model = load_model(self.file, threads)
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


def find_source(asked: str) -> MapSource:
    """`centre-prior`, or a model as `ModelSource.of` finds it."""
    return CentrePrior() if asked == CENTRE_PRIOR else ModelSource.of(asked)


def _bell(length: int) -> np.ndarray:
    place = (np.arange(length) + 0.5) / length - 0.5
    return np.exp(-0.5 * (place / CENTRE_SIGMA) ** 2)


@dataclass(frozen=True)
class MapFolder:
    """8-bit grey PNG maps of any method and scale, at `<split>/<stem>.png`, or `<stem>.png` if `flat`."""

    name: str
    folder: Path
    flat: bool
    digest: str
    sees: bool = False

    @classmethod
    def named(cls, asked: str, wanted: list[str]) -> MapFolder:
        """The folder of `DIR` or `NAME=DIR`, as `at` finds it."""
        name, equals, folder = asked.partition("=")
        if not equals or Path(asked).is_dir():
            return cls.at(Path(asked), wanted)
        return cls.at(Path(folder), wanted, name)

    @classmethod
    def at(cls, folder: Path, wanted: list[str], name: str | None = None) -> MapFolder:
        """Check that every picture `split/stem` in `wanted` has its map; tables call it `name` [default: the folder's].

        One split's maps may lie in `folder` itself. `InputError` counts the maps that are missing.
        """
        name = folder.name if name is None else name
        if name in ("", "none", "-") or "/" in name:  # what tables print for no distortion and no size is no name
            raise InputError(f"maps in {str(folder)!r} are called {name!r} (allowed: NAME=DIR, a name without '/')")
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder of maps")
        splits = {picture.rpartition("/")[0] for picture in wanted}
        flat = len(splits) == 1 and not folder.joinpath(*splits).is_dir()
        files = {picture: _file(picture, flat) for picture in wanted}
        missing = [file for file in files.values() if not (folder / file).is_file()]
        if missing:
            found = f"{len(missing)} of {len(wanted)} maps are missing, the first is {missing[0]}"
            hint = "" if len(splits) == 1 else " (allowed for several splits: a folder each, named like the split)"
            raise InputError(f"{folder}: {found}{hint}")
        facts = [(picture, (folder / file).stat()) for picture, file in files.items()]
        listing = "\n".join(f"{picture} {stat.st_size} {stat.st_mtime_ns}" for picture, stat in facts)
        return cls(name, folder, flat, hashlib.sha256(listing.encode()).hexdigest())

    def open(self, threads: int) -> Mapper:
        def read(name: str, rgb: np.ndarray, working: WorkingSize) -> np.ndarray:
            path = self.folder / _file(name, self.flat)
            saliency = read_grey(path)
            (height, width), (rows, columns) = rgb.shape[:2], saliency.shape
            if abs(columns * height - rows * width) > width + height:  # more than a pixel of rounding in each side
                found = f"map is {columns}x{rows}, its picture {width}x{height}"
                raise InputError(f"{path}: {found} (allowed: that or another size of the same aspect ratio)")
            return resized(saliency, (height, width))

        return read


def _file(picture: str, flat: bool) -> str:
    return f"{picture.rpartition('/')[2] if flat else picture}.png"
