"""Some images of a split, measured for some arms at once: what the jobs of an evaluation do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from corpora.loader import Pair
from harness import metrics
from harness.errors import InputError
from harness.files import whole_file
from harness.jobs.memory import keep_freed_memory
from harness.jobs.pools import in_worker
from harness.media.pictures import read_mask, read_rgb
from harness.metrics import Reading, Sample, Sums, Truth, drift, mae
from harness.models.sources import Mapper, MapSource
from harness.models.working_size import NATIVE, WorkingSize
from harness.saliency.distort import CLEAN, Distortion, as_extractor_reads


@dataclass(frozen=True)
class Part:
    """What one arm gave on some images: exact sums, and per image the scalars `[n]` and curves `[n, ...]` by key."""

    sums: Sums
    scalars: dict[str, np.ndarray]
    curves: dict[str, np.ndarray]

    @classmethod
    def over(cls, readings: Sequence[Reading]) -> Part:
        """Of what each image says."""
        curved = {key for key, value in readings[0].items() if np.ndim(value) > 0}
        scalars = {key: np.array([r[key] for r in readings], np.float64) for key in readings[0] if key not in curved}
        curves = {key: np.array([r[key] for r in readings], np.float32) for key in readings[0] if key in curved}
        return cls(Sums.over(readings), scalars, curves)

    def record(self) -> dict[str, Any]:
        """As a job's result; `of` reads it."""
        return {
            "images": self.sums.images,
            "totals": {key: np.asarray(total) for key, total in self.sums.totals.items()},
            "defined": dict(self.sums.defined),
            "scalars": self.scalars,
            "curves": self.curves,
        }

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Part:
        """From a job's result."""
        sums = Sums(record["images"], record["totals"], record["defined"])
        return cls(sums, record["scalars"], record["curves"])


@dataclass(frozen=True)
class Asked:
    """One arm on some images of a split: the arguments of a job.

    `working` and `distortion` are as options spell them; `maps` is a folder for 8-bit PNGs of the maps, if any.
    """

    split: str
    working: str
    distortion: str
    colour: str
    minmax: bool
    by_maximum: bool
    truth_threshold: int
    maps: str | None
    source: MapSource
    pairs: Sequence[Pair]
    threads: int

    @property
    def setting(self) -> tuple[MapSource, WorkingSize, Distortion]:
        """What decides the map of a picture."""
        working = WorkingSize.parse(self.working) if self.source.sees else NATIVE
        return self.source, working, CLEAN if self.distortion == str(CLEAN) else Distortion.parse(self.distortion)


def measure(arms: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Measure several arms on the same images, so that a picture is read and distorted once for all.

    Args:
        arms: The fields of `Asked`, of one split, with the same images.

    Returns:
        A `Part.record` for each.

    Raises:
        InputError: For a pair or a map that cannot be measured, by its file.
    """
    if in_worker():
        keep_freed_memory()
    asked = [Asked(**arm) for arm in arms]
    one = asked[0]
    mappers = {source: source.open(one.threads) for source in dict.fromkeys(each.source for each in asked)}
    readings: list[list[Reading]] = [[] for _ in asked]
    for pair in one.pairs:
        rgb, truth = read_pair(pair, one.truth_threshold)
        maps = _Maps(mappers, one.colour, f"{one.split}/{pair.name}", rgb)
        for each, into in zip(asked, readings, strict=True):
            try:
                into.append(_reading(each, maps, truth, pair))
            except InputError as error:
                raise InputError(f"{each.source.name} on {pair.image}: {error}") from error
    return [Part.over(found).record() for found in readings]


def _reading(asked: Asked, maps: _Maps, truth: Truth, pair: Pair) -> Reading:
    source, working, distortion = asked.setting
    saliency = maps.of(source, working, distortion)
    found = metrics.reading(Sample.of(saliency, truth, asked.minmax, asked.by_maximum))
    if asked.by_maximum:  # what divides by the maximum stretches for MAE all the same
        found |= mae.reading(Sample.of(saliency, truth, minmax=True))
    if distortion != CLEAN:
        found |= drift.reading(saliency, maps.of(source, working, CLEAN))
    if asked.maps:
        _save_map(Path(asked.maps, f"{pair.name}.png"), saliency)
    return found


class _Maps:
    """The maps of one picture, each made once: distorted arms are compared with the clean one."""

    def __init__(self, mappers: Mapping[MapSource, Mapper], colour: str, name: str, rgb: np.ndarray) -> None:
        self._mappers, self._colour, self._name, self._rgb = mappers, colour, name, rgb
        self._pictures: dict[Distortion, np.ndarray] = {}
        self._maps: dict[tuple[MapSource, WorkingSize, Distortion], np.ndarray] = {}

    def of(self, source: MapSource, working: WorkingSize, distortion: Distortion) -> np.ndarray:
        """A map, `[H, W]`."""
        key = source, working, distortion
        if key not in self._maps:
            if distortion not in self._pictures:
                self._pictures[distortion] = _seen(distortion.of(self._rgb), self._colour)
            self._maps[key] = self._mappers[source](self._name, self._pictures[distortion], working)
        return self._maps[key]


def _seen(rgb: np.ndarray, colour: str) -> np.ndarray:
    return as_extractor_reads(rgb) if colour == "mobilesal" else rgb


def read_pair(pair: Pair, truth_threshold: int) -> tuple[np.ndarray, Truth]:
    """Picture uint8 `[H, W, 3]` and truth; `InputError` when unreadable or of different sizes."""
    rgb, mask = read_rgb(pair.image), read_mask(pair.mask, truth_threshold)
    if rgb.shape[:2] != mask.shape:
        image_size, mask_size = ("x".join(map(str, array.shape[1::-1])) for array in (rgb, mask))
        raise InputError(f"{pair.mask}: mask is {mask_size}, its image {image_size} (must be equal)")
    return rgb, Truth(mask)


def _save_map(path: Path, saliency: np.ndarray) -> None:
    levels = saliency if saliency.dtype == np.uint8 else np.rint(saliency * 255).astype(np.uint8)
    with whole_file(path) as temporary:
        Image.fromarray(levels).save(temporary)
