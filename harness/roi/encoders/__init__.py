"""The encoders that are known, by FFmpeg's names."""

from harness.errors import InputError
from harness.roi.encoders.base import Encoder, Settings
from harness.roi.encoders.kvazaar import KVAZAAR
from harness.roi.encoders.qsv import H264_QSV, HEVC_QSV
from harness.roi.encoders.refused import REFUSED
from harness.roi.encoders.svtav1 import SVTAV1
from harness.roi.encoders.vpx import VP8, VP9
from harness.roi.encoders.x264 import X264
from harness.roi.encoders.x265 import X265

__all__ = ["ENCODERS", "Encoder", "Settings", "find_encoder"]

ENCODERS = {encoder.name: encoder for encoder in (X264, X265, VP8, VP9, KVAZAAR, SVTAV1, H264_QSV, HEVC_QSV, *REFUSED)}


def find_encoder(name: str) -> Encoder:
    """An encoder that takes a map; `InputError` with the reason when it does not, or with the names when unknown."""
    able = ", ".join(known.name for known in ENCODERS.values() if known.route != "none")
    encoder = ENCODERS.get(name)
    if encoder is None:
        raise InputError(f"unknown encoder {name!r} (allowed: {able})")
    if encoder.route == "none":
        raise InputError(f"{name} cannot be steered: {encoder.refusal} (allowed: {able})")
    return encoder
