"""Uncertainty of an evaluation: bounds of every number, and paired differences between arms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from harness import metrics, stats
from harness.errors import InputError
from harness.stats import USUAL, Estimate, Paired, Statistics
from harness.studies.eval.result import ArmResult, Evaluation

LABELS = ["split", "model", "working_size", "distortion", "image"]


@dataclass(frozen=True)
class Drawn:
    """An arm with all its numbers, and those that are no mean on every resample of the images, `[R]` by key."""

    arm: ArmResult
    values: Mapping[str, float]
    draws: Mapping[str, np.ndarray]


def drawn(arm: ArmResult, how: Statistics = USUAL) -> Drawn:
    """Every number of `arm`; what is no mean, as the maximum of a mean curve, is computed anew on each resample."""
    values = {key: float(value) for key, value in metrics.headline(arm.sums.means()).items()}
    scalars = arm.rows.drop(columns=LABELS).to_numpy(np.float64)
    keys = list(arm.rows.columns.drop(LABELS))
    known = ~np.isnan(scalars)
    filled, counted = np.where(known, scalars, 0), known.astype(np.float64)
    found: list[dict[str, np.ndarray]] = []
    for weights in stats.resampling(len(scalars), how):
        with np.errstate(invalid="ignore"):  # a resample may hold no image of a size class
            means = dict(zip(keys, ((weights @ filled) / (weights @ counted)).T, strict=True))
        total = weights.sum(axis=1)
        for key, shape in arm.curves.shapes.items():
            means[key] = arm.curves.sums(key, weights) / total.reshape(-1, *[1] * len(shape))
        found.append({key: value for key, value in metrics.headline(means).items() if _column(key) is None})
    wanted = [key for key in values if _column(key) is None]
    draws = {key: np.concatenate([block[key] for block in found]) if found else np.empty(0) for key in wanted}
    return Drawn(arm, values, draws)


def estimates(of: Drawn, how: Statistics = USUAL) -> dict[str, Estimate]:
    """Every number with its bounds, over the images where it is defined."""
    columns = {key: column for key in of.values if (column := _column(key)) is not None}
    means = stats.means_of(of.arm.rows[list(columns.values())].to_numpy(np.float64), how)
    found = {key: replace(mean, value=of.values[key]) for key, mean in zip(columns, means, strict=True)}
    images = len(of.arm.rows)
    return {
        key: found[key] if key in found else stats.bounds(value, of.draws[key], images, how)
        for key, value in of.values.items()
    }


def paired(
    first: Drawn, second: Drawn, how: Statistics = USUAL, nulls: Mapping[str, float] | None = None
) -> dict[str, Paired]:
    """`second - first` of every number, over the images where both have one; what is no mean has no win rate.

    Args:
        first: The arm compared with.
        second: The other one, on the same images.
        how: Level, resamples, and what counts as few.
        nulls: What a number's p-value tests its gain against, in the number's better direction; 0 unless given.

    Raises:
        InputError: For arms that were measured on different images.
    """
    if list(first.arm.rows["image"]) != list(second.arm.rows["image"]):
        raise InputError(
            f"{first.arm.model} and {second.arm.model} were measured on different images of {first.arm.split}"
        )
    asked = {key: _sign(key) * null for key, null in (nulls or {}).items()}
    keys = [key for key in second.values if key in first.values]
    found = _paired_means(first, second, [key for key in keys if _column(key) is not None], how, asked)
    images = len(first.arm.rows)
    for key in keys:
        if _column(key) is None:
            shift = second.draws[key] - first.draws[key]
            change = second.values[key] - first.values[key]
            found[key] = Paired(stats.bounds(change, shift, images, how, asked.get(key, 0.0)), stats.NAN)
    return {key: found[key] for key in keys}


def _paired_means(
    first: Drawn, second: Drawn, keys: list[str], how: Statistics, asked: Mapping[str, float]
) -> dict[str, Paired]:
    columns = [metrics.metric(key).per_image for key in keys]
    deltas = second.arm.rows[columns].to_numpy(np.float64) - first.arm.rows[columns].to_numpy(np.float64)
    found = {}
    for null in {asked.get(key, 0.0) for key in keys}:
        places = [place for place, key in enumerate(keys) if asked.get(key, 0.0) == null]
        for place, mean in zip(places, stats.means_of(deltas[:, places], how, null), strict=True):
            found[keys[place]] = Paired(mean, stats.win_rate(_sign(keys[place]) * deltas[:, place]))
    return found


def with_intervals(
    evaluation: Evaluation, how: Statistics = USUAL, nulls: Mapping[str, float] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tidy numbers with bounds, and paired differences of every model to each one before it at the same settings.

    A difference is taken on the same images and the same resamples; `p_value` is two-sided. `win_rate` is the share of
    images where the model is better (ties half), for numbers that are means of one number per image. `defined` counts
    the images that a number is over, of a difference those where both models have one.

    Args:
        evaluation: What was measured.
        how: Level, resamples, and what counts as few.
        nulls: What the p-value of a number's difference tests a gain against; 0 unless given.
    """
    numbers: list[dict] = []
    differences: list[dict] = []
    before: list[Drawn] = []
    for arm in evaluation.results:
        own = drawn(arm, how)
        for key, found in estimates(own, how).items():
            row = {"measure": key, "defined": found.count, "value": found.value, "low": found.low, "high": found.high}
            numbers.append({**_labels(evaluation, arm), **row})
        for other in before:
            if _comparable(other.arm, arm):
                differences += _differences(other, own, how, nulls)
        before.append(own)
    return pd.DataFrame(numbers), pd.DataFrame(differences)


def _comparable(first: ArmResult, second: ArmResult) -> bool:
    """Other models at the same settings; what sees no picture has one arm, the same at every setting."""
    if first.split != second.split or first.model == second.model:
        return False
    if "-" in (first.working_size, second.working_size):
        return True
    return (first.working_size, first.distortion) == (second.working_size, second.distortion)


def _column(key: str) -> str | None:
    return metrics.metric(key).per_image


def _sign(key: str) -> float:
    return -1.0 if metrics.metric(key).higher_is_better is False else 1.0


def _labels(evaluation: Evaluation, result: ArmResult) -> dict:
    images = f"{result.sums.images}/{evaluation.asked[result.split]}"
    labels = {"split": result.split, "model": result.model, "working_size": result.working_size}
    return {**labels, "distortion": result.distortion, "images": images}


def _differences(first: Drawn, second: Drawn, how: Statistics, nulls: Mapping[str, float] | None) -> list[dict]:
    seeing = second.arm if first.arm.working_size == "-" else first.arm
    return [
        {
            "split": first.arm.split,
            "working_size": seeing.working_size,
            "distortion": seeing.distortion,
            "model": second.arm.model,
            "against": first.arm.model,
            "measure": key,
            "images": len(first.arm.rows),
            "defined": found.difference.count,
            "difference": found.difference.value,
            "low": found.difference.low,
            "high": found.difference.high,
            "p_value": found.difference.p_value,
            "win_rate": found.win_rate,
        }
        for key, found in paired(first, second, how, nulls).items()
    ]
