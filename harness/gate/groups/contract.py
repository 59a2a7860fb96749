"""Would the extractor load and run the candidate, and is it the file that the registry means?"""

from __future__ import annotations

import numpy as np

from harness.errors import HarnessError, InputError
from harness.gate.context import Context
from harness.gate.evidence import Evidence
from harness.gate.intervals import exactly, fact
from harness.gate.verdict import Measurement
from harness.models.session import SaliencyModel, open_model

GROUP = "contract"


def inputs(context: Context) -> dict[str, str]:
    """Nothing but the weights and the registry's word on them."""
    return {"registry": _registry_problem(context) or "agrees"}


def gather(context: Context) -> Evidence:
    """All facts of the candidate; those that a refused graph leaves open are missing."""
    path = context.candidate.file.path
    problem = _registry_problem(context)
    found: list[Measurement] = []
    missing: dict[str, str] = {}
    if context.candidate.registered:
        found.append(fact("contract.registry", problem is None, problem or "id, sha256, opset and sidecar agree"))
    else:
        missing["contract.registry"] = "given as a path: the registry does not know it"
    try:
        model = open_model(context.candidate.file)
    except InputError as error:
        found.append(fact("contract.graph", False, str(error).removeprefix(f"{path}: ")))
        return Evidence(GROUP, tuple(found), {**missing, GROUP: "the graph does not load"})
    facts = model.facts
    note = f"opset {facts.opset}, {len(facts.operators)} operators, {facts.parameters} parameters, {facts.bytes} bytes"
    found += [fact("contract.graph", True, note), exactly("contract.bytes", facts.bytes)]
    return Evidence(GROUP, (*found, *_runs(model, context)), missing)


def _registry_problem(context: Context) -> str | None:
    candidate = context.candidate
    return context.registry.problem(candidate.file) if candidate.registered else None


def _runs(model: SaliencyModel, context: Context) -> list[Measurement]:
    sizes = context.policy.contract.sizes
    low, high, finite = np.inf, -np.inf, True
    for height, width in sizes:
        try:
            maps = model.raw_maps(_pictures(height, width, context.policy.statistics.seed))
        except HarnessError as error:
            return [fact("contract.sizes", False, f"{width}x{height}: {error}")]
        finite = finite and bool(np.isfinite(maps).all())
        low, high = min(low, float(maps.min())), max(high, float(maps.max()))
    listed = ", ".join(f"{width}x{height}" for height, width in sizes)
    span = f"[{low:.4g}, {high:.4g}]"
    return [
        fact("contract.sizes", True, listed),
        fact("contract.finite", finite, "all values finite" if finite else "NaN or infinite values"),
        fact("contract.range", bool(low >= 0 and high <= 1), f"values within {span}"),
    ]


def _pictures(height: int, width: int, seed: int) -> np.ndarray:
    """Black, white, noise, and a bright disc on a gradient: uint8 `[4, H, W, 3]`."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    inside = np.hypot(y - height / 2, x - width / 2) < min(height, width) / 4
    disc = np.where(inside, 240, 160 * x / width)[..., None] * np.ones(3)
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3))
    return np.stack([np.zeros_like(noise), np.full_like(noise, 255), noise, disc]).astype(np.uint8)
