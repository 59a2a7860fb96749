"""Students over pictures of DUTS-TR at several working sizes, by the measures that choose between them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from rich.progress import track

from corpora.loader import Pair
from harness import metrics
from harness.media.pictures import read_mask, read_rgb, resized
from harness.metrics import Sample, Sums
from harness.models.working_size import WorkingSize
from train.batches import normalised
from train.students.blocks import Student

Key = TypeVar("Key", bound=Hashable)
KEYS = ("iou_mean@0.5", "maxf_mean_curve", "mae_mean", "s_measure_mean")
SIZES = ("native", "short:540")
"""Working sizes of tables that choose: a student may look otherwise at frames of 512 lines and more."""


@torch.inference_mode()
def sums_over(
    students: Mapping[Key, Student], pairs: Sequence[Pair], sizes: Sequence[str] = SIZES
) -> dict[tuple[str, Key], Sums]:
    """What each student's measures sum to over `pairs`, seen at each of `sizes`; each pair is read once."""
    found = {(size, key): Sums() for size in sizes for key in students}
    for pair in track(pairs, "looking"):
        rgb, mask = read_rgb(pair.image), read_mask(pair.mask)
        for size in sizes:
            seen = resized(rgb, WorkingSize.parse(size).of(*mask.shape))
            picture = normalised(torch.tensor(seen)[None])
            for key, student in students.items():
                map_ = np.clip(resized(student(picture)[0, 0].numpy(), mask.shape), 0, 1)
                found[size, key] += Sums.of(metrics.reading(Sample.of(map_, mask)))
    return found


def numbers_of(sums: Sums) -> dict[str, float]:
    """The means of `KEYS`."""
    numbers = metrics.headline(sums.means())
    return {key: float(numbers[key]) for key in KEYS}


def rows_of(sums: Mapping[tuple[str, Key], Sums], about: Mapping[Key, Mapping[str, float]]) -> pd.DataFrame:
    """A row for each size and student: what `about` says of it, its numbers, and what one is chosen by.

    `together` is IoU + max-F + S - MAE, and `all sizes` what that adds up to over the sizes.
    """
    rows = pd.DataFrame(
        {"working_size": size, **about[key], **numbers_of(found)} for (size, key), found in sums.items()
    )
    rows["together"] = rows[["iou_mean@0.5", "maxf_mean_curve", "s_measure_mean"]].sum(axis=1) - rows["mae_mean"]
    rows["all sizes"] = rows.groupby([*next(iter(about.values()))])["together"].transform("sum")
    return rows
