"""What every encoder module states about itself, and the settings that all of them understand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from harness.errors import InputError
from harness.media.frames import ClipInfo
from harness.roi.offsets import Steps

QP_STEPS = Steps()
QUARTER_STEPS = Steps(step=0.25)
Route = Literal["side-data", "roi-file", "program", "none"]
X26X_PRESETS = tuple("ultrafast superfast veryfast faster fast medium slow slower veryslow placebo".split())
"""What x264 and x265 call their presets; kvazaar took the names over."""


@dataclass(frozen=True)
class Settings:
    """How to encode, ROI or not: constant quality (`crf`) or `bitrate` in kbit/s, a preset, and raw options.

    `two_pass` meets the bitrate by a first pass that only measures.
    """

    crf: float | None = None
    bitrate: int | None = None
    preset: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    two_pass: bool = False

    def __post_init__(self) -> None:
        if self.crf is not None and self.bitrate is not None:
            raise InputError("both --crf and --bitrate given (allowed: one of them)")
        if self.bitrate is not None and self.bitrate < 1:
            raise InputError(f"bitrate {self.bitrate} kbit/s (allowed: at least 1)")
        if self.two_pass and self.bitrate is None:
            raise InputError("two passes without a bitrate (allowed: --two-pass with --bitrate)")

    def __str__(self) -> str:
        named = {"crf": self.crf, "bitrate": self.bitrate, "preset": self.preset}
        said = [f"{name} {value}" for name, value in named.items() if value is not None]
        return ", ".join([*said, *(f"option {name}={value}" for name, value in self.options)]) or "its defaults"


@dataclass(frozen=True)
class OffsetsFile:
    """A file of offsets that an encoder reads: `write` makes it from one grid of offsets in QP per frame, and `named`
    adds it to the encoder's options.

    `based` may first move a constant from the grids into the options, for an encoder whose offsets have a better side;
    `InputError` where the options leave no room for it.
    """

    write: Callable[[Path, Sequence[np.ndarray]], None]
    named: Callable[[dict[str, str], Path], dict[str, str]]
    based: Callable[[dict[str, str], Sequence[np.ndarray]], tuple[dict[str, str], Sequence[np.ndarray]]] = (
        lambda options, grids: (options, grids)
    )


@dataclass(frozen=True)
class Program:
    """An encoder's own program, which is called as the encoder is named, with its options as `--name value`.

    `io` gives the words that name the raw y4m and the stream, whose `suffix` is one that FFmpeg can copy from; `tags`
    the options that state a clip's colours. `reads` is the option that its `--help` must know to take offsets, and
    `advice` what to do where the program is not here.
    """

    io: Callable[[Path, Path], Sequence[str | Path]]
    suffix: str
    reads: str
    tags: Callable[[ClipInfo], dict[str, str]] = lambda info: {}
    advice: str = ""


@dataclass(frozen=True)
class Encoder:
    """Capabilities as data: FFmpeg's `name`, and the route by which a map reaches it.

    `side-data`: with the frames, through PyAV. `roi-file`: in an `offsets_file` that the FFmpeg program hands on.
    `program`: in an `offsets_file` for the encoder's own `program`, which `name` then is. `none`: not at all, and
    `refusal` says why.

    `block` is the offset grid in pixels, `multiple` what sides must be one of (at 2, where chroma is halved),
    `steps` what an offset may be in QP, `fraction` the QP span of a side-data `qoffset` of 1 at 8 bits, `regions`
    the most rectangles that it takes. `layouts` pairs a planar pixel format with the one that it wants instead;
    `hardware` is what must be in the machine. `presets` are its names for them, none where it has another option.
    `passes` turns the number of a pass and its file of statistics into options, None where it has no second pass.
    `translate` turns settings into the encoder's options, enforcing the conditions under which it reads a map.
    `hdr` is the option, and in it the names, by which the stream itself states a mastering display and light levels.
    """

    name: str
    route: Route
    block: int = 16
    steps: Steps = QP_STEPS
    fraction: float = 51.0
    depths: tuple[int, ...] = (8,)
    chroma: tuple[str, ...] = ("420",)
    multiple: int = 2
    suffixes: tuple[str, ...] = (".mkv",)
    crfs: tuple[float, float] = (0, 51)
    presets: tuple[str, ...] = ()
    regions: int | None = None
    layouts: tuple[tuple[str, str], ...] = ()
    hardware: str = ""
    passes: Callable[[int, Path], dict[str, str]] | None = None
    offsets_file: OffsetsFile | None = None
    program: Program | None = None
    translate: Callable[[Settings], dict[str, str]] = lambda settings: {}
    hdr: tuple[str, str, str] | None = None
    conditions: str = ""
    refusal: str = ""

    def __post_init__(self) -> None:
        wanted = {"roi-file": (True, False), "program": (True, True)}.get(self.route, (False, False))
        if (self.offsets_file is not None, self.program is not None) != wanted:
            raise ValueError(f"{self.name}: route {self.route} and what it needs do not fit")

    def options(self, settings: Settings) -> dict[str, str]:
        """FFmpeg options for `settings`; `InputError` with what this encoder allows when it does not take them."""
        low, high = self.crfs
        if settings.crf is not None and not low <= settings.crf <= high:
            raise InputError(f"crf {settings.crf:g} with {self.name} (allowed: {low:g} to {high:g})")
        if settings.preset and self.presets and settings.preset not in self.presets:
            raise InputError(f"preset {settings.preset!r} with {self.name} (allowed: {', '.join(self.presets)})")
        if settings.two_pass and self.passes is None:
            raise InputError(f"two passes with {self.name} (allowed for: libx264, libx265)")
        return self.translate(settings)

    def stating(self, info: ClipInfo, options: dict[str, str]) -> dict[str, str]:
        """`options` that also state the clip's HDR10 side data in the stream, where the encoder can and they do not."""
        if self.hdr is None:
            return options
        option, *names = self.hdr
        given = params_of(options, option)
        stated = zip(names, (info.look.mastering, info.look.light), strict=True)
        more = [f"{name}={value}" for name, value in stated if value and name not in given]
        return {**options, option: ":".join(filter(None, [options.get(option), *more]))} if more else options

    def unstated(self, info: ClipInfo) -> list[str]:
        """What of the clip's look its stream will not state, in words."""
        return [f"chroma location {info.look.siting}"] if info.look.siting and self.route != "side-data" else []

    def refuse_ignored(self, said: Iterable[str], settings: Settings) -> None:
        """`InputError` when the encoder's warnings tell of a part of `settings` that it would ignore."""
        for line in said:
            if re.search("(unknown|invalid) option|error parsing option|invalid value", line, re.IGNORECASE):
                words = re.sub(r"^(\[[^]]*\] ?)+", "", line)
                raise InputError(f"{self.name} would ignore a part of {settings}: {words}")

    def check(self, info: ClipInfo) -> None:
        """`InputError` when this encoder cannot take such pictures."""
        if info.bit_depth not in self.depths or info.chroma not in self.chroma:
            depths = " or ".join(map(str, self.depths))
            found = f"{info.bit_depth}-bit {':'.join(info.chroma)}"
            raise InputError(
                f"{self.name} takes no {found} (allowed: {depths} bits, {', '.join(map(':'.join, self.chroma))})"
            )
        subsampled = [info.width] * (info.chroma in ("420", "422")) + [info.height] * (info.chroma == "420")
        sides = subsampled if self.multiple == 2 else [info.width, info.height]
        if any(side % self.multiple for side in sides):
            raise InputError(
                f"{self.name} takes no {info.width}x{info.height} in {':'.join(info.chroma)} "
                f"(allowed: sides that are multiples of {self.multiple}; libvpx-vp9 takes all)"
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


def params_of(options: dict[str, str], name: str) -> dict[str, str]:
    """The `key=value:…` that an option hands on, if any; keys with `-`, as x264 and x265 read `_`."""
    pairs = (part.partition("=")[::2] for part in options.get(name, "").split(":") if part)
    return {key.replace("_", "-"): value for key, value in pairs}


def require_positive(options: dict[str, str], name: str, default: str, reason: str) -> None:
    """Set `name` unless given; `InputError` when it is given as 0."""
    if options.setdefault(name, default) in ("0", "none"):
        raise InputError(f"option {name}={options[name]} with a map: {reason}")
