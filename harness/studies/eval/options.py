"""What an evaluation measures: its options, and the arms that they span."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.errors import InputError
from harness.models.sources import MapSource
from harness.models.working_size import NATIVE, WorkingSize
from harness.saliency.distort import CLEAN, Distortion


@dataclass(frozen=True)
class EvalOptions:
    """Everything that changes numbers.

    `minmax` stretches each map to [0, 1] first, `by_maximum` divides it by its maximum, but stretches it for MAE; mask
    pixels above `truth_threshold` (0..255) are foreground; every model runs at each of `working_sizes`, on the picture
    and after each of `distortions`. `colour` is `rgb`, the decoded picture, or `mobilesal`, what the extractor makes of
    it. Maps are scaled to the truth's size bilinearly.
    `InputError` for a working size or distortion given twice: rows of a table would share a name.
    """

    working_sizes: tuple[WorkingSize, ...] = (NATIVE,)
    distortions: tuple[Distortion, ...] = ()
    colour: str = "rgb"
    minmax: bool = False
    truth_threshold: int = 128
    by_maximum: bool = False

    def __post_init__(self) -> None:
        refuse_repeats("working size", self.working_sizes)
        refuse_repeats("distortion", (CLEAN, *self.distortions))

    def described(self) -> dict[str, str]:
        """As a table records them."""
        return {
            "distortion": ", ".join(map(str, (CLEAN, *self.distortions))),
            "working size": ", ".join(map(str, self.working_sizes)),
            "map range": self._stretched,
            "truth": f"mask > {self.truth_threshold}",
            "map to truth size": "bilinear",
            "colour": self.colour,
        }

    @property
    def _stretched(self) -> str:
        if self.by_maximum:
            return "divided by its maximum, for MAE min-max"
        return "per-image min-max" if self.minmax else "raw"


def refuse_repeats(what: str, values: Sequence[object]) -> None:
    """`InputError` names the first of `values` that is there twice.

    >>> refuse_repeats("split", ["ecssd", "duts-te"])
    """
    for place, value in enumerate(values):
        if value in values[:place]:
            raise InputError(f"{what} {value} is given twice (allowed: each once)")


@dataclass(frozen=True)
class Arm:
    """One row of the result: a source of maps at a working size after a distortion."""

    source: MapSource
    working: WorkingSize
    distortion: Distortion

    @property
    def label(self) -> tuple[str, str, str]:
        """Model, working size and distortion as tables show them; `-` where the size does not matter."""
        return self.source.name, str(self.working) if self.source.sees else "-", str(self.distortion)

    @property
    def folders(self) -> tuple[str, ...]:
        """The label as folder names."""
        return tuple(part.replace(":", "-") for part in self.label)


def arms_of(sources: Sequence[MapSource], options: EvalOptions) -> list[Arm]:
    """Every source at every setting; what sees no picture has one arm."""
    return list(_arms(sources, options))


def _arms(sources: Sequence[MapSource], options: EvalOptions) -> Iterator[Arm]:
    for source in sources:
        for working in options.working_sizes if source.sees else options.working_sizes[:1]:
            for distortion in (CLEAN, *options.distortions) if source.sees else (CLEAN,):
                yield Arm(source, working, distortion)
