"""Where saliency maps come from: a model, a folder of maps that any method made, or a prior that sees nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from corpora.memo import digests_of
from harness.errors import InputError
from harness.media.pictures import opened, read_grey, resized
from harness.models.map_names import find_maps
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
        return lambda name, rgb, working: np.outer(bell(rgb.shape[0]), bell(rgb.shape[1])).astype(np.float32)


def find_source(asked: str | MapSource) -> MapSource:
    """`centre-prior`, or a model as `ModelSource.of` finds it; what is a source already stays as it is."""
    if not isinstance(asked, str):
        return asked
    return CentrePrior() if asked == CENTRE_PRIOR else ModelSource.of(asked)


def bell(length: int) -> np.ndarray:
    """The centre prior along one side of `length` samples, at their centres: float64 `[length]`, 1 at the middle."""
    place = (np.arange(length) + 0.5) / length - 0.5
    return np.exp(-0.5 * (place / CENTRE_SIGMA) ** 2)


@dataclass(frozen=True)
class MapFolder:
    """Grey maps of any method, as `find_maps` finds them; those of another size are scaled to the truth's, bilinearly.

    `files` has the map of every picture by its name, `sizes` says how large they are.
    """

    name: str
    folder: Path
    digest: str
    files: Mapping[str, Path] = field(repr=False, compare=False)
    sizes: str
    sees: bool = False

    @classmethod
    def named(cls, asked: str, wanted: list[str], complete: bool = True) -> MapFolder:
        """The folder of `DIR` or `NAME=DIR`, as `at` finds it."""
        name, equals, folder = asked.partition("=")
        if not equals or Path(asked).is_dir():
            return cls.at(Path(asked), wanted, complete=complete)
        return cls.at(Path(folder), wanted, name, complete)

    @classmethod
    def at(cls, folder: Path, wanted: list[str], name: str | None = None, complete: bool = True) -> MapFolder:
        """Check that every picture `split/stem` in `wanted` has its map; tables call it `name` [default: the folder's].

        Where the maps need not be `complete`, a map that is missing or none is an error of who wants to read it.

        Raises `InputError` as `find_maps` does, and for a name that tables could not tell from something else.
        """
        name = folder.name if name is None else name
        if name in ("", "none", "-") or "/" in name:  # what tables print for no distortion and no size is no name
            raise InputError(f"maps in {str(folder)!r} are called {name!r} (allowed: NAME=DIR, a name without '/')")
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder of maps")
        files = find_maps(folder, wanted, complete)
        shas = digests_of(list(files.values()))
        listing = "\n".join(f"{picture} {sha}" for picture, sha in zip(files, shas, strict=True))
        return cls(name, folder, hashlib.sha256(listing.encode()).hexdigest(), files, _sizes(files.values(), complete))

    def of(self, pictures: Iterable[str]) -> MapFolder:
        """The same with the maps of these pictures alone: all that another process has to be told."""
        chosen = {picture: self.files[picture].absolute() for picture in pictures if picture in self.files}
        return replace(self, files=chosen)

    def open(self, threads: int) -> Mapper:
        def read(name: str, rgb: np.ndarray, working: WorkingSize) -> np.ndarray:
            if name not in self.files:
                raise InputError(f"{self.folder}: no map of {name}")
            saliency = read_grey(self.files[name])
            (height, width), (rows, columns) = rgb.shape[:2], saliency.shape
            if (rows, columns) == (width, height) != (height, width):
                found = f"the map is {columns}x{rows}, its picture {width}x{height}"
                raise InputError(f"{self.files[name]}: {found} (turn it by 90 degrees; any other size is scaled)")
            return resized(saliency, (height, width))

        return read


def _sizes(paths: Iterable[Path], complete: bool) -> str:
    """`320x320`, or how many sizes there are."""
    sizes = set()
    for path in paths:
        try:
            with opened(path) as image:
                sizes.add(image.size)
        except InputError:
            if complete:
                raise
    return "{}x{}".format(*sizes.pop()) if len(sizes) == 1 else f"of {len(sizes)} sizes"
