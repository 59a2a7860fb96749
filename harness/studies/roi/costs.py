"""Arms where each pays the same: on every clip its strength is sought by real encodes around what it may cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from corpora.loader import ClipPair, clip_digest
from harness import stats
from harness.errors import InconclusiveError
from harness.files import scratch_folder
from harness.jobs import Job, Store, run_groups
from harness.models.sources import CENTRE_PRIOR, ModelSource
from harness.models.working_size import WorkingSize
from harness.quality.bdrate import bd_rate
from harness.roi.encoders import Settings, find_encoder
from harness.roi.laws import MAP, Law
from harness.roi.proof import probe
from harness.studies.roi.arm import (
    MODEL,
    FirstFrames,
    KeptMaps,
    Ladder,
    Masks,
    labelled,
    measure_arm,
    places_of,
    source_of,
    weights_of,
)
from harness.studies.roi.budgets import COSTS, Budget, Point, at_budget, search
from harness.studies.roi.plan import MASK, METRICS, ORACLE, PLAIN, CostPlan, metrics_of, models_of
from harness.tables import Code, Table, left_out_notes

GAIN = "psnr_y@mask"  # the quality in the region that a gain is in


@dataclass(frozen=True)
class _Anchor:
    """The plain encodes of a clip: kbit/s and each quality, a value a CRF, and whether that CRF is one of the plan's.

    Costs are against the plan's CRFs. A gain is against the finer ones too: steering lifts the region's quality beyond
    the plan's plain encodes. (VMAF tells finer ones no longer apart.)
    """

    values: Mapping[str, Sequence[float]]
    planned: Sequence[bool]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], crfs: Sequence[float]) -> _Anchor:
        """Those of a clip's plain rows."""
        columns = {key: [float(row[key]) for row in rows] for key in ("kbps", GAIN, *COSTS)}
        return cls(columns, [row["crf"] in crfs for row in rows])

    def rate(self, rows: Sequence[Mapping[str, Any]], metric: str) -> float:
        """BD-rate of `rows` in per cent; infinite where it is undefined."""
        kept = [place for place, planned in enumerate(self.planned) if planned or metric == GAIN]
        rates, quality = ([self.values[key][place] for place in kept] for key in ("kbps", metric))
        try:
            return bd_rate(rates, quality, [row["kbps"] for row in rows], [row[metric] for row in rows])
        except InconclusiveError:
            return float("inf")

    def point(self, rows: Sequence[Mapping[str, Any]], strength: float) -> Point:
        """What one strength's encodes cost and gain."""
        costs = {metric: self.rate(rows, metric) for metric in COSTS}
        gain = -self.rate(rows, GAIN)
        return Point(strength, costs, gain if math.isfinite(gain) else math.nan)


def measure_at_costs(
    name: str,
    frames: str,
    masks: str,
    encoder: str,
    crfs: list[float],
    preset: str | None,
    working: str,
    limit: int | None,
    arm: str,
    law: str,
    budgets: list[str],
    anchor: dict[str, list[float]],
    planned: list[bool],
    model: str | None = None,
    sha256: str | None = None,
) -> list[dict[str, Any]]:
    """A row per encode of the search, at every strength that it took to enclose every budget.

    `anchor` holds kbit/s and qualities of the plain encodes, `planned` which of them are at `crfs`. SSIM and VMAF of
    the region are left out: no cost or gain is in them.
    """
    with scratch_folder() as folder:
        scratch = Path(folder)
        clip = FirstFrames(Path(frames), limit, scratch / "reference.y4m")
        truth, able = Masks.of(Path(masks), clip.info, limit), find_encoder(encoder)
        source = KeptMaps(source_of(arm, truth, model, sha256, None), scratch / "maps")  # one for all strengths
        size = WorkingSize.parse(working)
        ladder = Ladder(name, clip, truth, able, crfs, preset, size, scratch, Law.parse(law), complete=False)
        rows: list[dict[str, Any]] = []

        def encode(strength: float) -> Point:
            made = [row | {"law": law} for row in ladder.encode(arm, source, strength)]
            rows.extend(made)
            return _Anchor(anchor, planned).point(made, strength)

        search(encode, [Budget.parse(budget) for budget in budgets])
    return rows


def encode_at_costs(
    clips: Sequence[ClipPair],
    plan: CostPlan,
    executor: Callable[[], Executor],
    store: Store | None = None,
    progress: Callable[[int, int], None] | None = None,
    failed: Callable[[str, str], None] | None = None,
) -> pd.DataFrame:
    """Every clip by every arm under every law, at the strengths that the budgets ask for.

    Returns:
        A row per encode: clip, encoder, arm, law, strength and CRF; bytes, kbit/s and `metrics_of`. Clips of which
        `failed` hears, by name and why, have none.

    Raises:
        HarnessError: An encoder does not follow a map.
    """
    for encoder in plan.encoders:
        probe(find_encoder(encoder), Settings(crf=plan.crfs[0], preset=plan.preset))
    models = models_of(plan)
    told = progress or (lambda done, total: None)
    plain = [
        Job(
            measure_arm,
            {**_common(clip, encoder, plan), "crfs": _with_finer(plan), "arm": PLAIN, "strength": None},
            {"clip": clip_digest(clip)},
            places_of(clip),
        )
        for clip in clips
        for encoder in plan.encoders
    ]
    arms = [arm for law in plan.laws for arm in _arms(models, law, plan.oracle)]
    arms.append((CENTRE_PRIOR, CENTRE_PRIOR, str(MAP), {}, {}))
    total = len(plain) * (1 + len(arms))
    anchors = run_groups(plain, executor, store, lambda done, _: told(done, total), failed)
    searches = list(_searches([clip for clip in clips if clip.name in anchors], plan, arms, anchors))
    jobs = [job for job, _ in searches]
    found = run_groups(jobs, executor, store, lambda done, _: told(len(plain) + done, total), failed)
    own = [row for clip in found for result in anchors[clip] for row in result]
    rows = pd.DataFrame([*own, *labelled(searches, found)])
    return rows.rename(columns=dict(zip(METRICS, metrics_of(plan.region), strict=True)))


Arm = tuple[str, str, str, dict[str, str], dict[str, str]]
"""An arm as jobs and as tables call it, its law, what a job reads for it and where that lies."""


def _arms(models: Sequence[ModelSource], law: str, oracle: bool) -> list[Arm]:
    own: list[Arm] = [(MODEL, source.name, law, *weights_of(source)) for source in models]
    return [*own, (ORACLE, ORACLE, law, {}, {})] if oracle else own


def _common(clip: ClipPair, encoder: str, plan: CostPlan) -> dict[str, Any]:
    return {
        "name": clip.name,
        "encoder": encoder,
        "crfs": list(plan.crfs),
        "preset": plan.preset,
        "working": plan.working,
        "limit": plan.frames,
    }


def _with_finer(plan: CostPlan) -> list[float]:
    """The plan's CRFs, and two finer ones as far apart as its finest two."""
    crfs = sorted(plan.crfs)
    finer = [crfs[0] - times * (crfs[1] - crfs[0]) for times in (2, 1)]
    return [*(crf for crf in finer if crf > 0), *plan.crfs]


def _searches(
    clips: Sequence[ClipPair], plan: CostPlan, arms: Sequence[Arm], anchors: Mapping[str, list[Any]]
) -> Iterator[tuple[Job, str]]:
    for clip in clips:
        for encoder, plain in zip(plan.encoders, anchors[clip.name], strict=True):
            anchor = _Anchor.of(plain, plan.crfs)
            common = _common(clip, encoder, plan) | {"budgets": list(plan.budgets)}
            common |= {"anchor": dict(anchor.values), "planned": list(anchor.planned)}
            for arm, label, law, read, at in arms:
                asked, inputs = {**common, "arm": arm, "law": law}, {"clip": clip_digest(clip), **read}
                yield Job(measure_at_costs, asked, inputs, {**places_of(clip), **at}), label


def at_costs(rows: pd.DataFrame, plan: CostPlan) -> pd.DataFrame:
    """A row per clip, encoder, arm, law and budget: strength, gain and what is paid there in each quality."""
    gain = GAIN.replace(MASK, plan.region)
    rows = rows.rename(columns={gain: GAIN})
    found = []
    for (clip, encoder), own in rows.groupby(["clip", "encoder"], sort=False):
        anchor = _Anchor.of(own[own["arm"] == PLAIN].to_dict("records"), plan.crfs)  # type: ignore[arg-type]
        for (arm, law), mine in own[own["arm"] != PLAIN].groupby(["arm", "law"], sort=False):
            points = [
                anchor.point(each.to_dict("records"), float(strength))  # type: ignore[arg-type]
                for strength, each in mine.groupby("strength", sort=True)
            ]
            for asked in map(Budget.parse, plan.budgets):
                met = at_budget(points, asked)
                row = {"clip": clip, "encoder": encoder, "arm": arm, "law": law}
                row |= {"cost": asked.metric, "budget_%": asked.percent, "strength": met.strength, "gain_%": met.gain}
                row |= {f"{metric}_paid_%": met.paid[metric] for metric in COSTS}
                row |= {"below": met.below, "above": met.above, "strengths": len(points), "bound": met.bound}
                found.append(row)
    return pd.DataFrame(found)


def summary_at_costs(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean gain over clips with 95 % bounds, the mean strength, and the paired difference to the centre prior."""
    found = []
    where = ["encoder", "cost", "budget_%"]
    for (encoder, cost, budget), own in rows.groupby(where, sort=False):
        prior = own[own["arm"] == CENTRE_PRIOR].set_index("clip")["gain_%"]
        for (arm, law), group in own.groupby(["arm", "law"], sort=False):
            gains = group.set_index("clip")["gain_%"]
            mean = stats.mean_of(gains.to_numpy())
            row: dict[str, Any] = {"encoder": encoder, "cost": cost, "budget_%": budget, "arm": arm, "law": law}
            row |= {"clips": mean.count, "undefined": int(gains.isna().sum()), "strength": group["strength"].mean()}
            row |= {"gain_%": mean.value, "low": mean.low, "high": mean.high}
            row |= {f"{metric}_paid_%": group[f"{metric}_paid_%"].mean() for metric in ("vmaf", "xpsnr_y")}
            if arm != CENTRE_PRIOR:
                difference = stats.paired(prior[gains.index].to_numpy(), gains.to_numpy()).difference
                row |= {"vs_centre_prior": difference.value, "vs_low": difference.low, "vs_high": difference.high}
                row["vs_p"] = difference.p_value
            found.append(row)
    return pd.DataFrame(found)


def cost_tables(
    rows: pd.DataFrame,
    plan: CostPlan,
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
    """`NAME_at_cost`, `NAME_at_cost_by_clip` and `NAME_at_cost_points`; arguments as for `sweep_tables`."""
    clips = list(rows["clip"].unique())
    many = f"the first {plan.frames} frames of each" if plan.frames else "all frames"
    settings = {
        "corpus": corpus,
        "clips": f"{len(clips)} clips ({', '.join(clips)}), {many}",
        "crfs": list(plan.crfs),
        "preset": plan.preset or "the encoder's default",
        "working size": plan.working,
        "frames": plan.frames,
        "budgets": list(plan.budgets),
    }
    notes = (
        "A budget is per cent more bits for the same whole-frame quality (BD-rate against the plain encode).",
        "A gain is against plain encodes at two finer CRFs too, for steering lifts the region beyond the others.",
        "On every clip each arm has the strength at which it pays just that, on the straight line between two real "
        "encodes around it (`below`, `above`: their strengths; 0 is plain).",
        f"gain_%: per cent fewer bits for the same PSNR-Y in the region ({where}); low, high: 95 % bounds over clips.",
        "vs_*: paired difference to the centre prior at the same budget, above 0 beats it; vs_p: its p-value.",
        "Offsets have a zero mean over each frame's area; no smoothing over time.",
        *left_out_notes(left_out),
        *remarks,
    )
    by_clip = at_costs(rows, plan)
    return tuple(
        Table(f"roi.{part}", f"{name}_{part}", title, content, command, models, data, code, settings, notes)
        for part, title, content in (
            ("at_cost", "What steering buys where every arm pays the same", summary_at_costs(by_clip)),
            ("at_cost_by_clip", "Strength and gain where every arm pays the same, by clip", by_clip),
            ("at_cost_points", "All encodes of the search", rows),
        )
    )
