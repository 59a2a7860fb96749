"""Intel Quick Sync through FFmpeg: reads region side data, at most 256 rectangles, in coarse blocks.

FFmpeg rounds edges to 16 pixels for H.264 and 32 for HEVC. VAAPI reads the same side data, but takes only frames that
already lie in GPU memory, where PyAV cannot attach any: it is among the refused.
"""

from harness.roi.encoders.base import Encoder, Settings, options_of

PRESETS = ("veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")


def _translate(settings: Settings) -> dict[str, str]:
    fixed = "Quick Sync's constant QP has no rate control to add offsets to (allowed: crf, bitrate)"
    return options_of(settings, "global_quality", 25, {"q": fixed, "qp": fixed})


def _quick_sync(name: str, layouts: tuple[tuple[str, str], ...], suffixes: tuple[str, ...]) -> Encoder:
    return Encoder(
        name,
        "side-data",
        block=32,
        regions=256,
        layouts=layouts,
        depths=(8, 10) if len(layouts) > 1 else (8,),
        crfs=(1, 51),
        presets=PRESETS,
        suffixes=(".mkv", ".mp4", ".mov", *suffixes),
        translate=_translate,
        hardware="Intel graphics with their driver",
        conditions="Intel graphics, at most 256 rectangles; --crf is its global_quality",
    )


H264_QSV = _quick_sync("h264_qsv", (("yuv420p", "nv12"),), (".264", ".h264"))
HEVC_QSV = _quick_sync("hevc_qsv", (("yuv420p", "nv12"), ("yuv420p10le", "p010le")), (".265", ".hevc"))
