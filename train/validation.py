"""Validation IoU by upstream's protocol: centre crops, threshold .5, mean within batches of 32, then over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from corpora.loader import Pair, listing_digest
from harness.errors import InputError
from harness.jobs.provenance import code_of
from harness.models.session import SaliencyModel
from harness.tables import Table
from train.data import DecodedSet, centre_crops, decoded_set, validation_split, whole_views
from train.fold import refuse_trained_on
from train.recipe import Recipe

SMOOTH = 1e-6
BATCH = 32
BATCHED, PER_IMAGE = "val_iou_mean@0.5 (batches of 32)", "val_iou_mean@0.5 (per image)"
View = Callable[[DecodedSet, Sequence[int], int], tuple[np.ndarray, np.ndarray]]
VIEWS: dict[str, View] = {"crop": centre_crops, "whole": whole_views, "wide": partial(whole_views, times=2)}


@dataclass(frozen=True)
class ValidationIoU:
    """`batched` is the published number; `per_image` weighs every image alike."""

    batched: float
    per_image: float


def validation_iou(
    maps: Callable[[np.ndarray], np.ndarray], data: DecodedSet, chosen: Sequence[int], size: int, view: str = "crop"
) -> ValidationIoU:
    """Evaluate `maps` (uint8 RGB `[B, s, s, 3]` to float `[B, s, s]`) on the chosen pairs' centre crops.

    With the view `whole` it is the whole pictures, scaled to `size` x `size`; with `wide` they fill a quarter of the
    view, mirrored around: how well small objects are found.
    """
    values = []
    for first in range(0, len(chosen), BATCH):
        images, masks = VIEWS[view](data, chosen[first : first + BATCH], size)
        predicted, truth = maps(images) >= 0.5, masks > 0
        shared = (predicted & truth).sum((1, 2))
        either = (predicted | truth).sum((1, 2))
        values.append((shared + SMOOTH) / (either + SMOOTH))
    return ValidationIoU(
        batched=float(np.mean([batch.mean() for batch in values])),
        per_image=float(np.concatenate(values).mean()),
    )


def validation_rows(
    models: Sequence[SaliencyModel],
    pairs: list[Pair],
    views: Sequence[str],
    cache: Path,
    corpus: str = "duts-tr",
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> pd.DataFrame:
    """One row per model and view of the fold that the shipped recipes hold out of `pairs`; decoded into `cache`.

    Raises `InputError` for an unknown view, and for a model that was trained on the fold of these pairs of `corpus`.
    """
    if unknown := [view for view in views if view not in VIEWS]:
        raise InputError(f"unknown view {unknown[0]!r} (allowed: {', '.join(VIEWS)})")
    refuse_trained_on(models, corpus, pairs)
    usual = Recipe("any")
    data = decoded_set(pairs, usual.val_short_side, cache, lambda done, total: progress("decoding", done, total))
    _, held = validation_split(len(pairs), usual.val_fraction, usual.val_seed)
    rows: list[dict[str, Any]] = []
    for model in models:
        for view in views:
            score = validation_iou(model.maps, data, held, usual.crop_size, view)
            measured = {BATCHED: score.batched, PER_IMAGE: score.per_image}
            rows.append({"model": model.name, "view": view, "pairs": len(held), **measured})
            progress("validating", len(rows), len(models) * len(views))
    return pd.DataFrame(rows)


def validation_table(
    rows: pd.DataFrame, models: Sequence[SaliencyModel], corpus: str, pairs: list[Pair], command: str
) -> Table:
    """What `validation_rows` found, as it is published."""
    read = {model.name: model.sha256 for model in models}
    data = {f"{corpus} listing": listing_digest(pairs)}
    return Table("train.validation", "validation", "Validation fold", rows, command, read, data, code_of(__name__))
