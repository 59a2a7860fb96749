"""Many encodes with one command: which clip goes where, and what would be done to each."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from harness.errors import InputError
from harness.files import check_apart, read_text
from harness.media.ffmpeg import find_ffmpeg
from harness.media.open import Clip
from harness.media.spool import STDIN
from harness.roi.encoders import Settings, find_encoder
from harness.roi.remux import carrier_of, remux_command
from harness.studies.roi.auto import Target, planned_probes
from harness.studies.roi.encode import Steering, prepare

WORST_FIRST = (1, 2, 3)  # exit codes: a failure, then bad input, then what could not be decided


@dataclass(frozen=True)
class Planned:
    """What an encode would do: its encoder's options, what it changes or leaves behind, and FFmpeg's last command.

    `probes` says what would be sought beforehand.
    """

    clip: Path
    out: Path
    frames: int | None
    encoder: str
    options: dict[str, str]
    converted: tuple[str, ...]
    not_carried_over: tuple[str, ...]
    command: str
    probes: str = ""


def pair_up(clips: Sequence[Path], encoder: str, out: Path | None = None, folder: Path | None = None) -> list[Path]:
    """Where the encode of each clip goes: `out` for one clip, else the clip's name with `.roi` in `folder` or here.

    Raises `InputError` when no place can be named, or two clips would go to one.
    """
    if not clips:
        raise InputError("no clip to encode (allowed: CLIP …, or --list FILE)")
    if out and (folder or len(clips) > 1):
        found = "--out-dir" if folder else f"{len(clips)} clips"
        raise InputError(f"--out {out} beside {found} (allowed for one clip alone; --out-dir takes many)")
    if out:
        return [out]
    if STDIN in clips:
        raise InputError("a clip from standard input has no name (allowed: with --out)")
    suffix = find_encoder(encoder).suffixes[0]
    outs = [(folder or Path()) / f"{clip.resolve().stem}.roi{suffix}" for clip in clips]
    check_apart({}, {f"the encode of {clip}": out for clip, out in zip(clips, outs, strict=True)})
    if len(set(clips)) < len(clips):
        raise InputError("a clip is named twice (allowed: once)")
    return outs


def read_list(path: Path) -> list[str]:
    """The clips that a text file names, one a line, as it names them; `InputError` when there is none."""
    names = [line for line in read_text(path).splitlines() if line.strip()]
    if not names:
        raise InputError(f"{path} names no clip (allowed: one a line)")
    return names


def plan_encode(
    clip: Clip,
    out: Path,
    encoder: str,
    settings: Settings,
    steering: Steering = Steering(),
    target: Target | None = None,
) -> Planned:
    """What `roi_encode` would do, as far as it is known without a map; raises as that does before it encodes."""
    able = find_encoder(encoder)
    probes = planned_probes(clip.info, able, settings, steering.budget, target)
    clip, carried = prepare(clip, out, able, settings)
    ffmpeg, carrier = find_ffmpeg(), Path(f"ENCODE{carrier_of(able.suffixes)}")
    words = remux_command(ffmpeg, carrier, Fraction(0), clip.info, carried, "", out)
    return Planned(
        clip.info.path,
        out,
        clip.info.frames,
        encoder,
        able.stating(clip.info, able.options(settings)),
        carried.converted,
        carried.lost,
        shlex.join([str(ffmpeg.path), *words]),
        probes,
    )


def worst(codes: Sequence[int]) -> int:
    """The exit code of several commands at once.

    >>> worst([0, 3, 2]), worst([0, 0]), worst([3, 1, 2])
    (2, 0, 1)
    """
    return next((code for code in WORST_FIRST if code in codes), 0)
