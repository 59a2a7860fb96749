"""Students over pictures of DUTS-TR at native size, by the measures that choose between them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import torch
from rich.progress import track

from corpora.loader import Pair
from harness import metrics
from harness.media.pictures import read_mask, read_rgb
from harness.metrics import Sample, Sums
from train.batches import normalised
from train.students.blocks import Student

Key = TypeVar("Key", bound=Hashable)
KEYS = ("iou_mean@0.5", "maxf_mean_curve", "mae_mean", "s_measure_mean")


@torch.inference_mode()
def sums_over(students: Mapping[Key, Student], pairs: Sequence[Pair], what: str = "looking") -> dict[Key, Sums]:
    """What each student's measures sum to over `pairs`, each of which is read once."""
    found = {key: Sums() for key in students}
    for pair in track(pairs, what):
        picture, mask = normalised(torch.tensor(read_rgb(pair.image))[None]), read_mask(pair.mask)
        for key, student in students.items():
            map_ = student(picture)[0, 0].clamp(0, 1).numpy()
            found[key] += Sums.of(metrics.reading(Sample.of(map_, mask)))
    return found


def numbers_of(sums: Sums) -> dict[str, float]:
    """The means of `KEYS`."""
    numbers = metrics.headline(sums.means())
    return {key: float(numbers[key]) for key in KEYS}


def with_together(numbers: Mapping[str, float]) -> dict[str, float]:
    """`numbers` and what one of several candidates is chosen by: IoU + max-F + S - MAE."""
    iou, max_f, mae, s_measure = (numbers[key] for key in KEYS)
    return {**numbers, "together": iou + max_f + s_measure - mae}
