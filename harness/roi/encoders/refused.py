"""Encoders that would write a plain encode in silence: refused, each with its reason."""

from harness.roi.encoders.base import Encoder

_IGNORES = "ignores regions of interest in silence: the stream is bit-identical to the plain encode"
_EXPORT = "use SvtAv1EncApp, which --export-map svtav1:PATH serves where it is elsewhere"
_HARDWARE = "needs frames in GPU memory, where no region of interest can be attached here"

REFUSED = tuple(
    Encoder(name, "none", refusal=reason)
    for name, reason in {
        "libsvtav1": f"through FFmpeg it {_IGNORES}; {_EXPORT}",
        "libaom-av1": f"it {_IGNORES}",
        "libvvenc": f"it {_IGNORES}, and it has no ROI file option",
        "librav1e": f"it {_IGNORES}",
        "h264_nvenc": "FFmpeg hands it no regions of interest",
        "hevc_nvenc": "FFmpeg hands it no regions of interest",
        "av1_nvenc": "FFmpeg hands it no regions of interest",
        "h264_amf": "FFmpeg hands it no regions of interest",
        "hevc_amf": "FFmpeg hands it no regions of interest",
        "h264_vaapi": _HARDWARE,
        "hevc_vaapi": _HARDWARE,
    }.items()
)
