"""libx264: reads region side data per frame, in 16x16 blocks, through its adaptive quantisation."""

from pathlib import Path

from harness.roi.encoders.base import X26X_PRESETS, Encoder, Settings, options_of, require_positive


def _translate(settings: Settings) -> dict[str, str]:
    options = options_of(settings, "crf", 23, {"qp": "x264 drops offsets in constant-QP mode (allowed: crf, bitrate)"})
    require_positive(options, "aq-mode", "1", "x264 reads offsets only with adaptive quantisation (allowed: 1, 2, 3)")
    return options


def _pass(number: int, statistics: Path) -> dict[str, str]:
    return {"x264-params": f"pass={number}:stats={statistics}"}


X264 = Encoder(
    "libx264",
    "side-data",
    depths=(8, 10),
    chroma=("420", "422", "444"),
    suffixes=(".mkv", ".mp4", ".mov", ".264", ".h264"),
    presets=X26X_PRESETS,
    passes=_pass,
    translate=_translate,
    conditions="adaptive quantisation on, no constant QP, progressive",
)
