"""libx264: reads region side data per frame, in 16x16 blocks, through its adaptive quantisation."""

from pathlib import Path

from harness.errors import InputError
from harness.roi.encoders.base import (
    QUARTER_STEPS,
    X26X_PRESETS,
    Encoder,
    Settings,
    options_of,
    params_of,
    require_positive,
)

_AQ = "x264 reads offsets only with adaptive quantisation"


def _translate(settings: Settings) -> dict[str, str]:
    options = options_of(settings, "crf", 23, {"qp": "x264 drops offsets in constant-QP mode (allowed: crf, bitrate)"})
    require_positive(options, "aq-mode", "1", f"{_AQ} (allowed: 1, 2, 3)")
    for name in ("x264-params", "x264opts"):
        given = params_of(options, name)
        if given.get("aq-mode") == "0" or given.keys() & {"qp", "qp-constant"}:
            raise InputError(f"{name} {options[name]} with a map: {_AQ} (allowed: aq-mode 1 to 3, no qp)")
    return options


def _pass(number: int, statistics: Path) -> dict[str, str]:
    return {"x264-params": f"pass={number}:stats={statistics}"}


X264 = Encoder(
    "libx264",
    "side-data",
    steps=QUARTER_STEPS,  # its offsets are fractions, added to those of its own adaptive quantisation
    depths=(8, 10),
    chroma=("420", "422", "444"),
    suffixes=(".mkv", ".mp4", ".mov", ".264", ".h264"),
    presets=X26X_PRESETS,
    passes=_pass,
    translate=_translate,
    hdr=("x264-params", "mastering-display", "cll"),
    conditions="adaptive quantisation on, no constant QP, progressive",
)
