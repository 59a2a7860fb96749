"""SVT-AV1 by its own program: takes a text file of qindex offsets per 64x64 block, which FFmpeg does not hand on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.errors import InputError
from harness.media.frames import MATRICES, PRIMARIES, TRANSFERS, ClipInfo, code_of
from harness.roi.encoders.base import Encoder, OffsetsFile, Program, Settings
from harness.roi.export import SVTAV1_BLOCK, SVTAV1_STEPS, svtav1_base, write_svtav1

_ROI_MAP = "roi-map-file"
FINEST = 1  # CRF


def _translate(settings: Settings) -> dict[str, str]:
    options = dict(settings.options)
    if options.get("aq-mode") == "1":
        raise InputError("option aq-mode=1 with a map: both want AV1's segments (allowed: 0, 2)")
    if settings.bitrate is not None:
        raise InputError("SvtAv1EncApp follows no map under a bitrate (2.3 and 4.2 were tried; allowed: --crf)")
    for name in ("crf", "rc", "tbr", "qp", "cqp", "pass", "passes"):
        if name in options:
            raise InputError(f"option {name}={options[name]} with a map: it goes by the CRF (allowed: --crf)")
    if settings.preset:
        options["preset"] = settings.preset
    return {"crf": f"{35 if settings.crf is None else round(settings.crf)}", **options}


def _named(options: dict[str, str], offsets: Path) -> dict[str, str]:
    return {**options, _ROI_MAP: str(offsets)}


def _based(options: dict[str, str], grids: Sequence[np.ndarray]) -> tuple[dict[str, str], Sequence[np.ndarray]]:
    finer, based = svtav1_base(grids)
    crf = int(options["crf"]) - finer
    if crf < FINEST:
        raise InputError(
            f"SvtAv1EncApp steers by positive offsets from a finer CRF, and this map needs one {finer} below "
            f"{options['crf']} (allowed: --crf of at least {FINEST + finer}, or a smaller --strength)"
        )
    return {**options, "crf": str(crf)}, based


def _io(raw: Path, stream: Path) -> tuple[str | Path, ...]:
    return "-i", raw, "-b", stream, "--progress", "0"


def _tags(info: ClipInfo) -> dict[str, str]:
    named = {
        "matrix-coefficients": (MATRICES, info.matrix),
        "color-primaries": (PRIMARIES, info.primaries),
        "transfer-characteristics": (TRANSFERS, info.transfer),
    }
    codes = {name: code_of(names, value) for name, (names, value) in named.items()}
    return {name: str(code) for name, code in codes.items() if code is not None} | {
        "color-range": "1" if info.range == "pc" else "0"
    }


SVTAV1 = Encoder(
    "SvtAv1EncApp",
    "program",
    block=SVTAV1_BLOCK,
    steps=SVTAV1_STEPS,
    depths=(8, 10),
    suffixes=(".mkv", ".mp4", ".ivf"),
    crfs=(1, 63),
    presets=tuple(str(number) for number in range(14)),
    offsets_file=OffsetsFile(write_svtav1, _named, _based),
    program=Program(
        _io,
        suffix=".ivf",
        reads=f"--{_ROI_MAP}",
        tags=_tags,
        advice="roi-encode with --export-map svtav1:PATH writes the map for one elsewhere",
    ),
    translate=_translate,
    conditions="SvtAv1EncApp of 1.6 or later on PATH, constant frame rate, no bitrate, 8 distinct offsets",
)
