"""What a sweep encodes: the arms, the qualities that are measured, and the settings that span them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from harness.errors import InputError
from harness.models.sources import ModelSource, find_source
from harness.models.working_size import WorkingSize
from harness.quality.bdrate import MIN_POINTS
from harness.roi.encoders import Settings, find_encoder
from harness.roi.laws import MAP, Law
from harness.roi.offsets import Strength
from harness.studies.roi.budgets import Budget

PLAIN, ORACLE, SHUFFLED = "plain", "oracle", "shuffled"
MASK, REFERENCE = "mask", "reference"  # regions: a human's, an independent model's
METRICS = ("psnr_y@mask", "ssim_y@mask", "vmaf@mask", "psnr_y", "ssim_y", "vmaf", "xpsnr_y")
"""Quality columns of a sweep's rows; `@mask` weighs by the clip's masks, whatever map steered."""


@dataclass(frozen=True)
class SweepPlan:
    """What to encode. `models` are registry ids, paths or sources; `frames` cuts every clip, None takes it whole.

    `region` names what the clips' masks are, for the keys `psnr_y@region`. Arms are plain, every model, the centre
    prior, the first model's maps of another clip, and the masks themselves.
    Raises `InputError` for anything that no sweep can answer.
    """

    models: tuple[str | ModelSource, ...]
    encoders: tuple[str, ...] = ("libx264",)
    crfs: tuple[float, ...] = (22, 27, 32, 37)
    strengths: tuple[float, ...] = (4.0,)
    preset: str | None = None
    working: str = "448x256"
    frames: int | None = None
    region: str = MASK

    def __post_init__(self) -> None:
        whole = (int(crf) if float(crf).is_integer() else float(crf) for crf in self.crfs)
        object.__setattr__(self, "crfs", tuple(whole))  # jobs go by what they were given, and 22 is 22.0
        object.__setattr__(self, "strengths", tuple(map(float, self.strengths)))
        if len(set(self.crfs)) < MIN_POINTS:
            raise InputError(f"{len(set(self.crfs))} CRFs (allowed: {MIN_POINTS} or more different ones, for BD-rate)")
        if not self.models:
            raise InputError("no model to sweep (allowed: one or more)")
        for what in ("models", "encoders", "crfs", "strengths"):
            values = getattr(self, what)
            if twice := [asked_as(value) for value in values if values.count(value) > 1]:
                raise InputError(f"{twice[0]} twice among the {what} (must differ)")
        if self.frames is not None and self.frames < 1:
            raise InputError(f"{self.frames} frames (allowed: at least 1)")
        WorkingSize.parse(self.working)
        for name, crf in itertools.product(self.encoders, self.crfs):
            find_encoder(name).options(Settings(crf=crf, preset=self.preset))
        for strength in self.strengths:
            Strength(strength)


@dataclass(frozen=True)
class CostPlan(SweepPlan):
    """What to encode so that every arm pays the same: `budgets` such as `vmaf=1`, each model under each of `laws`.

    `strengths` are sought, not given. Arms are plain, every model, the centre prior, and the masks (`oracle`).
    """

    strengths: tuple[float, ...] = field(default=(), init=False)
    budgets: tuple[str, ...] = ("vmaf=0", "vmaf=1", "vmaf=3")
    laws: tuple[str, ...] = (str(MAP),)
    oracle: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for what, read in (("budgets", Budget.parse), ("laws", Law.parse)):
            values = tuple(str(read(text)) for text in getattr(self, what))
            object.__setattr__(self, what, values)
            if not values or len(set(values)) < len(values):
                raise InputError(f"{what} {', '.join(values) or 'none'} (allowed: one or more, each once)")


def asked_as(value: Any) -> Any:
    """How a command names a model; any other value as it is."""
    return value.file.asked if isinstance(value, ModelSource) else value


def models_of(plan: SweepPlan) -> list[ModelSource]:
    """The plan's models; `InputError` for what is none, and for two that tables could not tell apart."""
    found = [(name, find_source(name)) for name in plan.models]
    models = [source for _, source in found if isinstance(source, ModelSource)]
    if len(models) < len(found):
        name = next(name for name, source in found if not isinstance(source, ModelSource))
        raise InputError(f"{name} is no model (it has an arm of its own in every sweep)")
    names = [model.name for model in models]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"two models are called {twice[0]} (must differ: tables name arms by it)")
    return models


def metrics_of(region: str) -> tuple[str, ...]:
    """`METRICS`, weighed by a region of this name.

    >>> metrics_of("reference")[:2]
    ('psnr_y@reference', 'ssim_y@reference')
    """
    return tuple(metric.replace(f"@{MASK}", f"@{region}") for metric in METRICS)
