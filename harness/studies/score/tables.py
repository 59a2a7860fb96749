"""What a ladder of encodes says of `saliency_mean`, and how native logs compare, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pandas as pd

from harness.files import sha256_of
from harness.jobs.provenance import code_of
from harness.metrics.drift import relative_drift
from harness.stats import USUAL, Estimate, mean_of, pearson_by_group, spearman
from harness.studies.score.ladder import LadderRows
from harness.studies.score.parity import Case
from harness.tables import Table, left_out_notes

ROWS, ROW_DIGITS = ("encodes", "references"), 8  # tables of all frames, and how exact their files are


def ladder_tables(rows: LadderRows, command: str, corpus: str = "clips") -> list[Table]:
    """The findings as tables, those that have any, and the rows behind them; every interval is over clips."""
    ladder, names = rows.ladder, list(dict.fromkeys(rows.encodes["clip"]))
    settings: dict[str, Any] = {"clips": ", ".join(names), "crf": ", ".join(map(str, ladder.crfs))}
    settings |= {"encoder": f"{ladder.encoder} {ladder.preset or ''}".strip(), "every": ladder.every}
    data = {f"{corpus}/{clip}": digest for clip, digest in rows.data.items()}
    notes = [
        f"{len(names)} clips, {len(rows.encodes)} frames of encodes, {len(rows.references)} frames of sources.",
        "PLCC with 95 % bounds over clips; SROCC beside it.",
    ]
    if len(names) < USUAL.small:
        notes.append(f"Bounds over {len(names)} clips are Student's (jackknife); one clip has none.")
    if ladder.every > 1:
        notes.append(f"Encodes scored on every {ladder.every}th frame.")
    notes += left_out_notes(rows.left_out)
    kinds = [
        ("models", "saliency_mean of one model against another, on the encodes", model_agreement(rows)),
        ("vmaf", "saliency_mean against VMAF over the ladder", quality_agreement(rows)),
        ("stability", "saliency_mean on the source against the same frame encoded", stability(rows)),
        ("foreground", "saliency_mean on the source against the true share of foreground", foreground(rows)),
        ("flicker", "change of the map from frame to frame, beside the motion of the mask", flicker(rows)),
        ("encodes", "every frame of every encode", rows.encodes),
        ("references", "every frame of the sources", rows.references),
    ]
    return [
        Table(
            f"score.{name}",
            name,
            title,
            found,
            command,
            rows.weights,
            data,
            code_of(__name__),
            settings,
            tuple(notes),
            ROW_DIGITS if name in ROWS else None,
        )
        for name, title, found in kinds
        if len(found)
    ]


def parity_table(rows: pd.DataFrame, cases: Sequence[Case], command: str) -> Table:
    """Native against embedded, a row per case."""
    models = {case.model.name: case.model.sha256 for case in cases}
    data = {f"log {case.log.name}": sha256_of(case.log) for case in cases}
    printed = rows.assign(max_abs_diff=rows["max_abs_diff"].map("{:.2e}".format))
    return Table("score.parity", "native", "Native against embedded", printed, command, models, data, code_of(__name__))


def model_agreement(rows: LadderRows) -> pd.DataFrame:
    """Every two models: correlation of their means over all encoded frames."""
    found = [
        {"model": one, "against": two, **_correlation(rows.encodes, _mean_of(one), _mean_of(two))}
        for one, two in combinations(rows.models, 2)
    ]
    return pd.DataFrame(found, columns=["model", "against", "plcc", "plcc_low", "plcc_high", "srocc", "frames"])


def quality_agreement(rows: LadderRows) -> pd.DataFrame:
    """Each model and VMAF column, over all frames, and within clips (each clip's own mean taken out first)."""
    vmafs = [name for name in rows.encodes.columns if name.startswith("vmaf")]
    found = []
    for model in rows.models:
        for vmaf in vmafs:
            pairs = rows.encodes[["clip", _mean_of(model), vmaf]]
            centred = pairs.copy()
            values = [_mean_of(model), vmaf]
            centred[values] -= pairs.groupby("clip")[values].transform("mean")
            for scope, chosen in (("all frames", pairs), ("within clips", centred)):
                found.append({"model": model, "against": vmaf, "scope": scope, **_correlation(chosen, *values)})
    return pd.DataFrame(found)


def stability(rows: LadderRows) -> pd.DataFrame:
    """Per model and CRF: correlation with the source's value, and the mean relative drift from it."""
    found = []
    for model in rows.models:
        column = _mean_of(model)
        source = rows.references[["clip", "frame", column]].rename(columns={column: "source"})
        joined = rows.encodes[["clip", "crf", "frame", column]].merge(source, on=["clip", "frame"])
        joined["drift"] = relative_drift(joined["source"].to_numpy(), joined[[column]].to_numpy())
        joined["shift"] = (joined[column] - joined["source"]) / joined["source"]
        for crf, part in joined.groupby("crf"):
            drift = mean_of(part.groupby("clip")["drift"].mean().to_numpy())
            found.append(
                {
                    "model": model,
                    "crf": crf,
                    **_correlation(part, column, "source"),
                    **_bounds("relative_drift", drift),
                    "relative_shift": float(part.groupby("clip")["shift"].mean().mean()),
                }
            )
    return pd.DataFrame(found)


def foreground(rows: LadderRows) -> pd.DataFrame:
    """Each model's mean on the source against the share of pixels inside the true mask."""
    found = []
    for model in rows.models:
        means, share = rows.references[_mean_of(model)], rows.references["foreground_share"]
        correlation = _correlation(rows.references, _mean_of(model), "foreground_share")
        found.append({"model": model, **correlation, "saliency_mean": means.mean(), "foreground_share": share.mean()})
    return pd.DataFrame(found)


def flicker(rows: LadderRows) -> pd.DataFrame:
    """Per model and clip, and over clips: mean change a frame of map, mask, and map where the mask stands still."""
    found = []
    for model in rows.models:
        columns = {"map_change": f"map_change@{model}", "still_change": f"still_change@{model}"}
        per_clip = rows.references.groupby("clip")[[*columns.values(), "mask_change"]].mean()
        for clip, values in per_clip.iterrows():
            found.append({"model": model, "clip": clip, **_changes(values, columns)})
        found.append({"model": model, "clip": "mean of clips", **_changes(per_clip.mean(), columns)})
    return pd.DataFrame(found)


def _changes(values: pd.Series, columns: dict[str, str]) -> dict[str, float]:
    change, mask = float(values[columns["map_change"]]), float(values["mask_change"])
    still = float(values[columns["still_change"]])
    ratio = change / mask if mask else float("nan")
    return {"map_change": change, "mask_change": mask, "map_to_mask": ratio, "still_change": still}


def _mean_of(model: str) -> str:
    return f"saliency_mean@{model}"


def _correlation(rows: pd.DataFrame, first: str, second: str) -> dict[str, Any]:
    one, two = rows[first].to_numpy(), rows[second].to_numpy()
    found = pearson_by_group(one, two, rows["clip"].to_numpy())
    return {**_bounds("plcc", found), "srocc": spearman(one, two), "frames": len(rows)}


def _bounds(name: str, found: Estimate | None) -> dict[str, float | None]:
    if found is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
