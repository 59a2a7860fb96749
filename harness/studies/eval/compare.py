"""Uncertainty of an evaluation: bootstrap intervals of every number, and paired differences between arms."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd

from harness import metrics
from harness.errors import InputError
from harness.stats import RESAMPLES, interval, resample_weights, two_sided_p, win_rate
from harness.studies.eval.run import ArmResult, Evaluation

PER_IMAGE = {  # numbers that are means of one reading per image, maybe undefined; others are over all images
    "iou_mean@0.5": "iou@0.5",
    "iou_mean@adaptive": "iou@adaptive",
    "dice_mean@0.5": "dice@0.5",
    "adpf_mean": "f_adaptive",
    "wf_mean": "wf",
    "s_measure_mean": "s_measure",
    "e_measure_adaptive": "e_adaptive",
    "plcc_mean": "plcc",
    "mae_mean": "mae",
    "kld_mean": "kld",
    "sim_mean": "sim",
    "iou_block16_mean@0.5": "iou_block16@0.5",
    "iou_block64_mean@0.5": "iou_block64@0.5",
    "iou_small_mean@0.5": "iou_small@0.5",
    "iou_medium_mean@0.5": "iou_medium@0.5",
    "iou_large_mean@0.5": "iou_large@0.5",
    "drift_plcc_mean": "drift_plcc",
    "drift_mae_mean": "drift_mae",
}
LOWER_IS_BETTER = frozenset({"mae_mean", "kld_mean", "ece@15", "drift_mae_mean"})
LABELS = ["split", "model", "working_size", "distortion", "image"]


def resampled(result: ArmResult, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, np.ndarray]:
    """Every headline number on bootstrap resamples of the images, `[R]` by key.

    Numbers that are no mean, as the maximum of a mean curve, are computed anew on each resample.
    """
    scalars = result.rows.drop(columns=LABELS).to_numpy(np.float32)
    keys = list(result.rows.columns.drop(LABELS))
    known = ~np.isnan(scalars)
    filled, known_weights = np.where(known, scalars, 0), known.astype(np.float32)
    found: list[dict[str, np.ndarray]] = []
    for weights in resample_weights(len(scalars), resamples, seed):
        with np.errstate(invalid="ignore"):  # a resample may hold no image of a size class
            means = dict(zip(keys, ((weights @ filled) / (weights @ known_weights)).T.astype(np.float64), strict=True))
        means |= {key: result.curves.sums(key, weights) / len(scalars) for key in result.curves.shapes}
        found.append(metrics.headline(means))
    return {key: np.concatenate([block[key] for block in found]) for key in found[0]}


def with_intervals(evaluation: Evaluation, resamples: int = RESAMPLES) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tidy numbers with 95 % bounds, and paired differences of every model to the first one at the same settings.

    A difference is taken on the same images and the same resamples; `p_value` is two-sided. `win_rate` is the share of
    images where the model is better (ties half), for numbers that are means of one number per image. `defined` counts
    the images that a number is over, of a difference those where both models have one.
    """
    order = {id(result): place for place, result in enumerate(evaluation.results)}
    numbers: list[list[dict]] = [[] for _ in order]
    differences: list[dict] = []
    firsts: dict[tuple[str, str, str], tuple[ArmResult, dict[str, np.ndarray]]] = {}
    leader = evaluation.results[0].model
    for result in sorted(evaluation.results, key=lambda r: r.model != leader):
        values, draws = result.headline(), resampled(result, resamples)
        for key in draws:
            defined = result.sums.defined[PER_IMAGE[key]] if key in PER_IMAGE else result.sums.images
            found = {"measure": key, "defined": defined, **asdict(interval(values[key], draws[key]))}
            numbers[order[id(result)]].append({**_labels(evaluation, result), **found})
        setting = (result.split, result.working_size, result.distortion)
        if result.model == leader:
            firsts[setting] = result, draws
            continue
        # what sees no picture has one arm, the same at every setting
        clean = (kept for key, kept in firsts.items() if key[0] == result.split and key[2] == "none")
        differences += _differences(*(firsts.get(setting) or next(clean)), result, draws)
    return pd.DataFrame([row for rows in numbers for row in rows]), pd.DataFrame(differences)


def _labels(evaluation: Evaluation, result: ArmResult) -> dict:
    images = f"{result.sums.images}/{evaluation.asked[result.split]}"
    labels = {"split": result.split, "model": result.model, "working_size": result.working_size}
    return {**labels, "distortion": result.distortion, "images": images}


def _differences(first: ArmResult, base: dict, second: ArmResult, draws: dict) -> list[dict]:
    if list(first.rows["image"]) != list(second.rows["image"]):
        raise InputError(f"{first.model} and {second.model} were measured on different images of {first.split}")
    before, after = first.headline(), second.headline()
    seeing = second if first.working_size == "-" else first
    found = []
    for key in draws.keys() & base.keys():
        shift = draws[key] - base[key]
        change = interval(after[key] - before[key], shift)
        sign = -1 if key in LOWER_IS_BETTER else 1
        column = PER_IMAGE.get(key)
        delta = (second.rows[column] - first.rows[column]).dropna().to_numpy() if column else None
        found.append(
            {
                "split": first.split,
                "working_size": seeing.working_size,
                "distortion": seeing.distortion,
                "model": second.model,
                "against": first.model,
                "measure": key,
                "images": len(first.rows),
                "defined": len(first.rows) if delta is None else len(delta),
                "difference": change.value,
                "low": change.low,
                "high": change.high,
                "p_value": two_sided_p(shift),
                "win_rate": win_rate(sign * delta) if delta is not None and len(delta) else float("nan"),
            }
        )
    return sorted(found, key=lambda row: list(draws).index(row["measure"]))
