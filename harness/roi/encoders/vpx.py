"""libvpx: VP8 with 4 segments, VP9 with 8 and only in realtime mode; one segment is for what no region covers."""

from harness.errors import InputError
from harness.roi.encoders.base import Encoder, Settings, options_of
from harness.roi.offsets import Steps


def _vp8(settings: Settings) -> dict[str, str]:
    # VP8's realtime mode picks its effort by the clock: the same command would give other bits on a busy machine
    options = {"cpu-used": "4", "deadline": "good", **options_of(settings, "crf", 20, {})}
    return _rate(options, settings)


def _vp9(settings: Settings) -> dict[str, str]:
    options = {"deadline": "realtime", "cpu-used": "6", "aq-mode": "0", **options_of(settings, "crf", 36, {})}
    fast = options["cpu-used"].lstrip("-").isdecimal() and int(options["cpu-used"]) >= 5
    if options["deadline"] != "realtime" or options["aq-mode"] not in ("0", "none") or not fast:
        raise InputError("VP9 reads a map only with deadline=realtime, cpu-used of at least 5 and aq-mode=0")
    return _rate(options, settings)


def _rate(options: dict[str, str], settings: Settings) -> dict[str, str]:
    if settings.preset:
        raise InputError(f"preset {settings.preset!r} with libvpx (allowed: its cpu-used option)")
    return options


VP8 = Encoder(
    "libvpx", "side-data", crfs=(0, 63), steps=Steps(levels=4), multiple=1, suffixes=(".mkv", ".webm"), translate=_vp8,
    conditions="4 distinct offsets",
)  # fmt: skip
VP9 = Encoder(
    "libvpx-vp9", "side-data", crfs=(0, 63), steps=Steps(levels=8), multiple=1, suffixes=(".mkv", ".webm"),
    translate=_vp9, conditions="deadline=realtime, cpu-used >= 5, aq-mode=0, 8 distinct offsets",
)  # fmt: skip
