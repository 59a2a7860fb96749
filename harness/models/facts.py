"""Does a model's file keep its promises? Facts, each held or not: the graph, the registry's word, what it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import HarnessError, InputError
from harness.models.model_file import ModelFile
from harness.models.registry import Registry
from harness.models.session import SaliencyModel, open_model

FACTS = ("graph", "registry", "sizes", "finite", "range")


@dataclass(frozen=True)
class Fact:
    """A yes or a no with what was found; `held` is None where another fact left it open."""

    name: str
    held: bool | None
    note: str


def facts_of(
    model: ModelFile, sizes: Sequence[tuple[int, int]], seed: int = 0, registry: Registry | None = None
) -> list[Fact]:
    """Every one of `FACTS`, in that order.

    Args:
        model: The file, as the registry finds it: with its hash there when it was asked for by its id.
        sizes: Frame sizes, height and width, that it must run at.
        seed: Of the noise among the frames.
        registry: What to ask [default: the project's].
    """
    agrees = _registry(model, registry)
    try:
        opened = open_model(model)
    except InputError as error:
        said = str(error).removeprefix(f"{model.path}: ")
        return [Fact("graph", False, said), agrees, *_open("sizes", "finite", "range", why="the graph does not load")]
    facts = opened.facts
    note = f"opset {facts.opset}, {len(facts.operators)} operators, {facts.parameters} parameters, {facts.bytes} bytes"
    return [Fact("graph", True, note), agrees, *_runs(opened, sizes, seed)]


def _registry(model: ModelFile, registry: Registry | None) -> Fact:
    if model.registered is None:
        return Fact("registry", None, "given as a path: the registry does not know it")
    problem = (registry or Registry.read()).problem(model)
    return Fact("registry", problem is None, problem or "id, sha256, opset and sidecar agree")


def _runs(model: SaliencyModel, sizes: Sequence[tuple[int, int]], seed: int) -> list[Fact]:
    low, high, finite = np.inf, -np.inf, True
    for height, width in sizes:
        try:
            maps = model.raw_maps(_pictures(height, width, seed))
        except HarnessError as error:
            failed = Fact("sizes", False, f"{width}x{height}: {error}")
            return [failed, *_open("finite", "range", why="it does not run at all sizes")]
        finite = finite and bool(np.isfinite(maps).all())
        low, high = min(low, float(maps.min())), max(high, float(maps.max()))
    return [
        Fact("sizes", True, ", ".join(f"{width}x{height}" for height, width in sizes)),
        Fact("finite", finite, "all values finite" if finite else "NaN or infinite values"),
        Fact("range", bool(low >= 0 and high <= 1), f"values within [{low:.4g}, {high:.4g}]"),
    ]


def _open(*names: str, why: str) -> list[Fact]:
    return [Fact(name, None, why) for name in names]


def _pictures(height: int, width: int, seed: int) -> np.ndarray:
    """Black, white, noise, and a bright disc on a gradient: uint8 `[4, H, W, 3]`."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    inside = np.hypot(y - height / 2, x - width / 2) < min(height, width) / 4
    disc = np.where(inside, 240, 160 * x / width)[..., None] * np.ones(3)
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3))
    return np.stack([np.zeros_like(noise), np.full_like(noise, 255), noise, disc]).astype(np.uint8)
