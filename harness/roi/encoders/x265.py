"""libx265: reads region side data per frame, in 16x16 blocks, through its adaptive quantisation."""

from pathlib import Path

from harness.errors import InputError
from harness.roi.encoders.base import QUARTER_STEPS, X26X_PRESETS, Encoder, Settings, options_of, params_of

_AQ = "x265 reads offsets only with adaptive quantisation"


def _translate(settings: Settings) -> dict[str, str]:
    options = options_of(settings, "crf", 28, {"qp": "x265 drops offsets in constant-QP mode (allowed: crf, bitrate)"})
    given = params_of(options, "x265-params")
    if given.get("aq-mode") == "0" or "qp" in given:
        raise InputError(f"x265-params {options['x265-params']} with a map: {_AQ} (allowed: aq-mode 1 to 4, no qp)")
    params = {"aq-mode": "2", "log-level": "none", **given}
    options["x265-params"] = ":".join(f"{name}={value}" for name, value in params.items())
    return options


def _pass(number: int, statistics: Path) -> dict[str, str]:
    return {"x265-params": f"pass={number}:stats={statistics}"}


X265 = Encoder(
    "libx265",
    "side-data",
    steps=QUARTER_STEPS,  # its offsets are fractions, added to those of its own adaptive quantisation
    depths=(8, 10),
    chroma=("420", "422", "444"),
    suffixes=(".mkv", ".mp4", ".mov", ".265", ".hevc"),
    presets=X26X_PRESETS,
    passes=_pass,
    translate=_translate,
    hdr=("x265-params", "master-display", "max-cll"),
    conditions="adaptive quantisation on, no constant QP",
)
