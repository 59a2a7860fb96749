"""What the candidate's map buys in real ROI encodes, against the incumbent's and the centre prior."""

from __future__ import annotations

import shlex
from typing import Any

import numpy as np
import pandas as pd
from bjontegaard import bd_psnr

from corpora.loader import clip_digest, load_manifest
from harness.errors import HarnessError, InputError
from harness.gate.context import Context
from harness.gate.data import clips_of
from harness.gate.evidence import Evidence
from harness.gate.intervals import fact, mean_of
from harness.gate.verdict import Measurement
from harness.jobs import Store, open_executor
from harness.models.sources import CENTRE_PRIOR
from harness.roi.encoders import Settings, find_encoder
from harness.roi.proof import probe
from harness.studies.roi.plan import PLAIN, SweepPlan
from harness.studies.roi.sweep import sweep
from harness.studies.roi.tables import bd_rates

GROUP = "roi"
QUALITY = "psnr_y@mask"  # weighed by human masks: independent of every map that steers


def inputs(context: Context) -> dict[str, str]:
    """A digest of the clips and their masks."""
    return {context.profile.clips: clip_digest(*clips_of(context))}


def gather(context: Context) -> Evidence:
    """Encode every clip with every arm, and compare rates at equal quality clip by clip."""
    old, new = (side.file.name for side in context.pair)
    if old == new:
        return Evidence(GROUP, missing={GROUP: f"both models are called {old}: their encodes cannot be told apart"})
    clips, plan = clips_of(context), plan_of(context)
    told = 0

    def progress(done: int, total: int) -> None:
        nonlocal told
        if done * 10 // total > told:
            told = done * 10 // total
            context.announce(f"roi: {done} of {total} arms encoded and measured")

    store = Store(context.out / "jobs" / "roi")
    rows = sweep(clips, plan, lambda: open_executor("local", context.workers), store, progress)
    rates = bd_rates(rows)
    found, missing = _measurements(rows, rates, old, new, context)
    points = [
        {"clip": row["clip"], "arm": row["arm"], "kbps": float(row["kbps"]), "quality": float(row[QUALITY])}
        for row in rows.to_dict(orient="records")
    ]
    tables = {f"rd {QUALITY}": points, "BD-rate against the plain encode": _by_clip(rates)}
    return Evidence(GROUP, tuple(found), missing, inputs(context), tables)


def plan_of(context: Context) -> SweepPlan:
    """The encodes to make, the candidate's first; `InputError` for an encoder, CRF or strength that is not allowed."""
    policy, models = context.policy.roi, (context.candidate.asked, context.incumbent.asked)
    crfs = tuple(map(float, policy.crf))  # as the command line reads them: jobs go by what they were given
    return SweepPlan(models, (policy.encoder,), crfs, (float(policy.strength),), frames=context.profile.frames)


def commands(context: Context) -> tuple[str, ...]:
    """The `harness roi-sweep` that makes the same encodes; none for models of one name."""
    if context.incumbent.file.name == context.candidate.file.name:
        return ()
    plan, profile = plan_of(context), context.profile
    words = ["harness", "roi-sweep", "--corpus", profile.clips]
    words += context.root_option(load_manifest(profile.clips).generated)
    for option, values in (
        ("--model", plan.models),
        ("--clip", profile.clip_names),
        ("--encoder", plan.encoders),
        ("--crf", plan.crfs),
        ("--strength", plan.strengths),
        ("--working-size", (plan.working,)),
        ("--frames", (profile.frames,)),
        ("--out", (context.out / "repeat" / GROUP,)),
    ):
        words += [word for value in values for word in (option, f"{value:g}" if type(value) is float else str(value))]
    return (shlex.join(words),)


def _measurements(
    rows: pd.DataFrame, rates: pd.DataFrame, old: str, new: str, context: Context
) -> tuple[list[Measurement], dict[str, str]]:
    policy, how = context.policy.roi, context.policy.statistics
    found, missing = [_effect(rows, new, context)], {}
    bd_rate = rates[rates["metric"] == QUALITY].pivot(index="clip", columns="arm", values="bd_rate")
    for key, other, null in (
        ("roi.bdrate_gain", old, None),
        ("roi.centre_gain", CENTRE_PRIOR, policy.centre_margin),
    ):
        gains = (bd_rate[other] - bd_rate[new]).to_numpy(float)
        undefined = list(bd_rate.index[np.isnan(gains)])
        if undefined:  # leaving a clip out could flatter
            missing[key] = f"BD-rate is undefined on {len(undefined)} of {len(gains)} clips (first: {undefined[0]})"
        else:
            found.append(mean_of(key, gains, how, null))
    try:
        vmaf = np.array([_vmaf_gain(rows[rows["clip"] == clip], old, new) for clip in bd_rate.index])
        found.append(mean_of("roi.vmaf_gain", vmaf, how))
    except (HarnessError, ValueError) as error:
        missing["roi.vmaf_gain"] = str(error)
    return found, missing


def _effect(rows: pd.DataFrame, new: str, context: Context) -> Measurement:
    """The encoder follows a map in the probe, and no encode with the candidate's map is as large as the plain one."""
    try:
        probe(find_encoder(context.policy.roi.encoder), Settings(crf=float(context.policy.roi.crf[0])))
    except HarnessError as error:
        return fact("roi.effect", False, str(error))
    sizes = rows.pivot_table(index=["clip", "crf"], columns="arm", values="bytes")
    moved = sizes[new] != sizes[PLAIN]
    note = f"{int(moved.sum())} of {len(moved)} encodes differ from the plain one"
    return fact("roi.effect", bool(moved.all()), note, count=len(moved))


def _vmaf_gain(rows: pd.DataFrame, old: str, new: str) -> float:
    """Whole-frame VMAF points of `new` above `old` at equal bitrate, averaged over the shared range of rates."""
    curves = []
    for arm in (old, new):
        own = rows[rows["arm"] == arm].sort_values("kbps")
        curves += [own["kbps"].to_numpy(float), own["vmaf"].to_numpy(float)]
    gain = float(bd_psnr(*curves, method="pchip", require_matching_points=False, min_overlap=0))
    if not np.isfinite(gain):
        raise InputError("VMAF at equal bitrate is undefined: the rates of the two do not overlap")
    return gain


def _by_clip(rates: pd.DataFrame) -> list[dict[str, Any]]:
    found = rates[rates["metric"].isin((QUALITY, "vmaf", "psnr_y"))]
    wide = found.pivot(index=["clip", "arm"], columns="metric", values="bd_rate").reset_index()
    return [
        {str(key): None if isinstance(value, float) and np.isnan(value) else value for key, value in row.items()}
        for row in wide.to_dict(orient="records")
    ]
