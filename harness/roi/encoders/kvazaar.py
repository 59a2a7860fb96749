"""libkvazaar: takes a text file of delta QPs per frame, through the FFmpeg program."""

from harness.roi.encoders.base import X26X_PRESETS, Encoder, Settings
from harness.roi.export import write_kvazaar


def _translate(settings: Settings) -> dict[str, str]:
    options = dict(settings.options)
    params = dict(part.partition("=")[::2] for part in options.get("kvazaar-params", "").split(",") if part)
    if settings.bitrate is None:
        params["qp"] = f"{27 if settings.crf is None else round(settings.crf)}"
    if settings.preset:
        params = {"preset": settings.preset, **params}
    options["kvazaar-params"] = ",".join(f"{name}={value}" for name, value in params.items())
    return options


KVAZAAR = Encoder(
    "libkvazaar",
    "roi-file",
    block=64,  # it sets one QP per coding tree unit
    multiple=8,
    suffixes=(".mkv", ".mp4", ".265", ".hevc"),
    presets=X26X_PRESETS,
    write_offsets=write_kvazaar,
    translate=_translate,
    conditions="constant frame rate; --crf is its QP",
)
