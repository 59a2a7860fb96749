"""What every encoder module states about itself, and the settings that all of them understand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from harness.errors import InputError
from harness.media.clips import ClipInfo
from harness.roi.offsets import Steps

QP_STEPS = Steps()
Route = Literal["side-data", "roi-file", "none"]


@dataclass(frozen=True)
class Settings:
    """How to encode, ROI or not: constant quality (`crf`) or `bitrate` in kbit/s, a preset, and raw options."""

    crf: float | None = None
    bitrate: int | None = None
    preset: str | None = None
    options: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.crf is not None and self.bitrate is not None:
            raise InputError("both --crf and --bitrate given (allowed: one of them)")
        if self.crf is not None and not 0 <= self.crf <= 63:
            raise InputError(f"crf {self.crf:g} (allowed: 0 to 63)")
        if self.bitrate is not None and self.bitrate < 1:
            raise InputError(f"bitrate {self.bitrate} kbit/s (allowed: at least 1)")


@dataclass(frozen=True)
class Encoder:
    """Capabilities as data: FFmpeg's `name`, and how a map reaches it.

    `block` is the offset grid in pixels, `steps` what an offset may be in QP, `fraction` the QP span of a side-data
    `qoffset` of 1 at 8 bits. `translate` turns settings into FFmpeg options, enforcing the conditions under which the
    encoder reads a map. `refusal` says why it cannot be steered.
    """

    name: str
    route: Route
    block: int = 16
    steps: Steps = QP_STEPS
    fraction: float = 51.0
    depths: tuple[int, ...] = (8,)
    chroma: tuple[str, ...] = ("420",)
    even: bool = True
    suffixes: tuple[str, ...] = (".mkv",)
    translate: Callable[[Settings], dict[str, str]] = lambda settings: {}
    conditions: str = ""
    refusal: str = ""

    def check(self, info: ClipInfo) -> None:
        """`InputError` when this encoder cannot take such pictures."""
        if info.bit_depth not in self.depths or info.chroma not in self.chroma:
            depths = " or ".join(map(str, self.depths))
            found = f"{info.bit_depth}-bit {':'.join(info.chroma)}"
            raise InputError(
                f"{self.name} takes no {found} (allowed: {depths} bits, {', '.join(map(':'.join, self.chroma))})"
            )
        subsampled = [info.width] * (info.chroma in ("420", "422")) + [info.height] * (info.chroma == "420")
        if self.even and any(side % 2 for side in subsampled):
            raise InputError(
                f"{self.name} takes no {info.width}x{info.height} in {':'.join(info.chroma)} "
                "(allowed: even sides; libvpx-vp9 takes odd ones)"
            )


def options_of(settings: Settings, crf: str, default: float, forbidden: dict[str, str]) -> dict[str, str]:
    """FFmpeg options under the usual names; `forbidden` maps an option to why it switches the map off."""
    options = dict(settings.options)
    for name, reason in forbidden.items():
        if name in options:
            raise InputError(f"option {name}={options[name]} with a map: {reason}")
    if settings.preset:
        options["preset"] = settings.preset
    if settings.bitrate is None:
        options[crf] = f"{default if settings.crf is None else settings.crf:g}"
    return options


def require_positive(options: dict[str, str], name: str, default: str, reason: str) -> None:
    """Set `name` unless given; `InputError` when it is given as 0."""
    if options.setdefault(name, default) in ("0", "none"):
        raise InputError(f"option {name}={options[name]} with a map: {reason}")
