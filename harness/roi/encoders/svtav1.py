"""SVT-AV1 by its own program: takes a text file of qindex offsets per 64x64 block, which FFmpeg does not hand on."""

from harness.errors import InputError
from harness.roi.encoders.base import Encoder, Settings
from harness.roi.export import SVTAV1_BLOCK, SVTAV1_STEPS, write_svtav1


def _translate(settings: Settings) -> dict[str, str]:
    options = dict(settings.options)
    if options.get("aq-mode") == "1":
        raise InputError("option aq-mode=1 with a map: both want AV1's segments (allowed: 0, 2)")
    if settings.preset:
        options["preset"] = settings.preset
    if settings.bitrate is not None:
        return {"rc": "1", "tbr": str(settings.bitrate), **options}
    return {"crf": f"{35 if settings.crf is None else round(settings.crf)}", **options}


SVTAV1 = Encoder(
    "SvtAv1EncApp",
    "program",
    block=SVTAV1_BLOCK,
    steps=SVTAV1_STEPS,
    depths=(8, 10),
    suffixes=(".mkv", ".mp4", ".ivf"),
    crfs=(1, 63),
    presets=tuple(str(number) for number in range(14)),
    write_offsets=write_svtav1,
    translate=_translate,
    conditions="SvtAv1EncApp of 1.6 or later on PATH, constant frame rate, 8 distinct offsets",
)
