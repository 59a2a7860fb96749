"""libkvazaar: takes a text file of delta QPs per frame, through the FFmpeg program."""

from pathlib import Path

from harness.errors import InputError
from harness.roi.encoders.base import X26X_PRESETS, Encoder, OffsetsFile, Settings
from harness.roi.export import write_kvazaar

_PARAMS = "kvazaar-params"


def _translate(settings: Settings) -> dict[str, str]:
    options = dict(settings.options)
    params = dict(part.partition("=")[::2] for part in options.get(_PARAMS, "").split(",") if part)
    if settings.bitrate is None:
        params["qp"] = f"{27 if settings.crf is None else round(settings.crf)}"
    if settings.preset:
        params = {"preset": settings.preset, **params}
    options[_PARAMS] = ",".join(f"{name}={value}" for name, value in params.items())
    return options


def _named(options: dict[str, str], offsets: Path) -> dict[str, str]:
    if any(char in str(offsets) for char in ",="):
        raise InputError(f"{offsets}: kvazaar's options cannot hold a path with , or = in it")
    return {**options, _PARAMS: f"{options.get(_PARAMS, '')},roi={offsets}".lstrip(",")}


KVAZAAR = Encoder(
    "libkvazaar",
    "roi-file",
    block=64,  # it sets one QP per coding tree unit
    multiple=8,
    suffixes=(".mkv", ".mp4", ".265", ".hevc"),
    presets=X26X_PRESETS,
    offsets_file=OffsetsFile(write_kvazaar, _named),
    translate=_translate,
    conditions="constant frame rate; --crf is its QP",
)
