"""A sweep's rows as tables: BD-rates clip by clip, their means over clips, and everything that repeats them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from harness import stats
from harness.errors import InconclusiveError
from harness.models.sources import CENTRE_PRIOR
from harness.quality.bdrate import bd_rate
from harness.studies.roi.plan import METRICS, PLAIN, SweepPlan
from harness.tables import Code, Table, left_out_notes


def bd_rates(rows: pd.DataFrame) -> pd.DataFrame:
    """BD-rate in per cent against the plain encode: a row per clip, encoder, arm, strength and metric.

    Where it is undefined, `bd_rate` is NaN and `reason` says why.
    """
    found = []
    metrics = [name for name in rows if str(name).partition("@")[0] in {metric.partition("@")[0] for metric in METRICS}]
    steered = rows[rows["arm"] != PLAIN]
    for (clip, encoder, arm, strength), test in steered.groupby(["clip", "encoder", "arm", "strength"], sort=False):
        anchor = rows[(rows["clip"] == clip) & (rows["encoder"] == encoder) & (rows["arm"] == PLAIN)]
        for metric in metrics:
            value, reason = float("nan"), ""
            try:
                value = bd_rate(
                    anchor["kbps"].tolist(), anchor[metric].tolist(), test["kbps"].tolist(), test[metric].tolist()
                )
            except InconclusiveError as error:
                reason = str(error)
            found.append(
                {"clip": clip, "encoder": encoder, "arm": arm, "strength": strength, "metric": metric}
                | {"bd_rate": value, "reason": reason}
            )
    return pd.DataFrame(found)


def summary(rates: pd.DataFrame) -> pd.DataFrame:
    """Mean BD-rate over clips with 95 % bounds, and the paired difference to the centre prior's.

    Clips whose BD-rate is undefined are left out and counted in `undefined`; a difference below 0 beats the prior.
    """
    found = []
    for (encoder, strength, metric, arm), group in rates.groupby(["encoder", "strength", "metric", "arm"], sort=False):
        values = group.set_index("clip")["bd_rate"].dropna()
        prior = rates[
            (rates["encoder"] == encoder)
            & (rates["strength"] == strength)
            & (rates["metric"] == metric)
            & (rates["arm"] == CENTRE_PRIOR)
        ].set_index("clip")["bd_rate"]
        row: dict[str, Any] = {"encoder": encoder, "strength": strength, "metric": metric, "arm": arm}
        row |= {"clips": len(values), "undefined": len(group) - len(values)}
        if len(values):
            row["bd_rate_%"] = values.mean()
            mean = stats.mean_of(values.to_numpy())
            row |= {"low": mean.low, "high": mean.high}
        both = values.index.intersection(prior.dropna().index)
        if arm != CENTRE_PRIOR and len(both):
            difference = stats.paired(
                prior[both].to_numpy(), values[both].to_numpy(), higher_is_better=False
            ).difference
            row |= {"vs_centre_prior": difference.value, "vs_low": difference.low, "vs_high": difference.high}
            row["vs_p"] = difference.p_value
        found.append(row)
    return pd.DataFrame(found)


def sweep_tables(
    rows: pd.DataFrame,
    plan: SweepPlan,
    name: str,
    *,
    where: str,
    corpus: str,
    command: str,
    models: Mapping[str, str],
    data: Mapping[str, str],
    code: Code,
    left_out: Mapping[str, str],
    remarks: Sequence[str] = (),
) -> tuple[Table, ...]:
    """`NAME_bdrate`, `NAME_bdrate_by_clip` and `NAME_points`, as the results folder holds them.

    Args:
        rows: What `sweep` returned.
        plan: What it was given.
        name: First part of the tables' names.
        where: What the region is, in words.
        corpus: The clips' set, `none` for anybody's.
        command: What to type to have them again.
        models: SHA-256 of the models, by arm.
        data: Digests of what was read.
        code: What measured the rows.
        left_out: Why clips are missing, by name.
        remarks: What else a reader must know.
    """
    clips = list(rows["clip"].unique())
    covered = f"{len(clips)} clips ({', '.join(clips)}), " + (
        f"the first {plan.frames} frames of each" if plan.frames else "all frames"
    )
    settings = {
        "corpus": corpus,
        "clips": covered,
        "crfs": list(plan.crfs),
        "preset": plan.preset or "the encoder's default",
        "working size": plan.working,
    }
    notes = (
        "BD-rate in per cent against the plain encode (PCHIP, at least 4 points); below 0 saves bits.",
        "low, high: 95 % bounds over clips, Student's t below 30 of them.",
        "vs_*: paired difference to the centre prior, below 0 beats it; vs_p: its p-value against 0.",
        f"@{plan.region}: {where}; vmaf@{plan.region}: everything outside replaced by the original.",
        "Offsets have a zero mean over each frame's area; no smoothing over time.",
        *left_out_notes(left_out),
        *remarks,
    )
    rates = bd_rates(rows)
    return tuple(
        Table(f"roi.{part}", f"{name}_{part}", title, content, command, models, data, code, settings, notes)
        for part, title, content in (
            ("bdrate", "What steering buys", summary(rates)),
            ("bdrate_by_clip", "BD-rate by clip", rates),
            ("points", "All encodes", rows),
        )
    )
