"""What an evaluation found: per arm exact sums, one row per image and curves on disk, put together from parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from corpora.loader import Pair
from harness import metrics
from harness.errors import InputError
from harness.metrics import Sums
from harness.studies.eval.curves import Curves
from harness.studies.eval.options import Arm, EvalOptions
from harness.studies.eval.part import Part


@dataclass(frozen=True)
class ArmResult:
    """One arm on one split: exact sums, one row per image, and every image's curves, on disk."""

    split: str
    model: str
    working_size: str
    distortion: str
    digest: str
    sums: Sums
    rows: pd.DataFrame
    curves: Curves

    def headline(self) -> dict[str, float]:
        """All numbers of this arm, and how many images left PLCC undefined."""
        found = {key: float(value) for key, value in metrics.headline(self.sums.means()).items()}
        return {**found, "plcc_undefined": float(self.sums.undefined("plcc"))}


@dataclass(frozen=True)
class Evaluation:
    """Results of all arms on all splits; `asked` counts the images that each split's authors published.

    `digests` are over names and content of the evaluated files, by split; `ecssd[:200]` are its first 200 images.
    """

    results: tuple[ArmResult, ...]
    asked: Mapping[str, int]
    digests: Mapping[str, str]
    options: EvalOptions

    @property
    def rows(self) -> pd.DataFrame:
        """One row per split, model, working size, distortion and image."""
        return pd.concat([result.rows for result in self.results], ignore_index=True)

    def table(self) -> pd.DataFrame:
        """One row per arm: images evaluated of images in the split, then every number."""
        return pd.DataFrame(
            [
                {
                    "split": result.split,
                    "model": result.model,
                    "working_size": result.working_size,
                    "distortion": result.distortion,
                    "images": f"{result.sums.images}/{self.asked[result.split]}",
                    **result.headline(),
                }
                for result in self.results
            ]
        )


class Gathered:
    """What the parts of one arm add up to, in whatever order they come; grows by a few numbers per image."""

    def __init__(self, split: str, pairs: Sequence[Pair], arm: Arm) -> None:
        self._split, self._pairs, self._arm = split, pairs, arm
        self._sums = Sums()
        self._scalars: dict[str, np.ndarray] = {}
        self._curves: Curves

    def add(self, start: int, part: Part) -> None:
        """Take the part that begins with image `start`."""
        if not self._sums.images:
            images = len(self._pairs)
            self._scalars = {key: np.empty(images) for key in part.scalars}
            self._curves = Curves(images, {key: values.shape[1:] for key, values in part.curves.items()})
        self._sums += part.sums
        for key, values in part.scalars.items():
            self._scalars[key][start : start + len(values)] = values
        self._curves.write(start, part.curves)

    def result(self) -> ArmResult:
        """The arm, when all parts are in; `InputError` when no mask of the split has foreground."""
        if not self._scalars["object_share"].any():
            raise InputError(f"split {self._split}: all {len(self._pairs)} masks are empty at this truth threshold")
        model, working, distortion = self._arm.label
        names = {"split": self._split, "model": model, "working_size": working, "distortion": distortion}
        rows = pd.DataFrame({"image": [pair.name for pair in self._pairs], **self._scalars})
        for place, (key, value) in enumerate(names.items()):
            rows.insert(place, key, value)
        digest = self._arm.source.digest
        return ArmResult(self._split, model, working, distortion, digest, self._sums, rows, self._curves)
