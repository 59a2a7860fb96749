"""What a still picture looks like after compression, and as the extractor reads it."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from PIL import Image

from harness.errors import HarnessError, InputError
from harness.media.encode import encoder_options
from harness.media.frames import Frame, bt709
from harness.saliency.colour import contract_rgb, true_rgb

_LIMITS = {"crf": (0, 51), "jpeg": (1, 95)}


@dataclass(frozen=True)
class Distortion:
    """`crf=N`: one x264 intra frame, 4:2:0, preset medium; `jpeg=Q`: baseline JPEG 4:2:0; `none`.

    >>> Distortion.parse("crf=23")
    Distortion(kind='crf', level=23)
    """

    kind: str = "none"
    level: int = 0

    @classmethod
    def parse(cls, text: str) -> Distortion:
        """Read `crf=23` or `jpeg=80`; `InputError` says what is allowed."""
        match = re.fullmatch(r"(crf|jpeg)=(\d{1,9})", text)
        low, high = _LIMITS[match[1]] if match else (0, 0)
        if not match or not low <= int(match[2]) <= high:
            allowed = " or ".join(f"{kind}=N with N from {a} to {b}" for kind, (a, b) in _LIMITS.items())
            raise InputError(f"distortion {text!r} (allowed: {allowed})")
        return cls(match[1], int(match[2]))

    def of(self, rgb: np.ndarray) -> np.ndarray:
        """The picture uint8 `[H, W, 3]` after it."""
        if self.kind == "crf":
            return x264_intra(rgb, self.level)
        return jpeg(rgb, self.level) if self.kind == "jpeg" else rgb

    def __str__(self) -> str:
        return self.kind if self.kind == "none" else f"{self.kind}={self.level}"


CLEAN = Distortion()


def jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    """Through Pillow's JPEG and back."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def x264_intra(rgb: np.ndarray, crf: int) -> np.ndarray:
    """Through one intra frame of x264 at a constant rate factor, BT.709 4:2:0, and back."""
    height, width = rgb.shape[:2]
    picture = _yuv420(rgb)
    picture.pts, picture.time_base = 0, Fraction(1, 25)
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, "yuv420p"
    encoder.time_base = Fraction(1, 25)
    encoder.thread_count = 1
    options = {"crf": str(crf), "preset": "medium", "x264-params": "keyint=1:bframes=0:log-level=error"}
    encoder.options = encoder_options("libx264", options)
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    packets = [*encoder.encode(picture), *encoder.encode(None)]
    decoded = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    if len(decoded) != 1:
        raise HarnessError(f"x264 at crf {crf} gave {len(decoded)} frames for one picture of {width}x{height}")
    return true_rgb(_frame(decoded[0]))[:height, :width]


def as_extractor_reads(rgb: np.ndarray) -> np.ndarray:
    """The RGB that `mobilesal` computes when this picture reaches it as BT.709 4:2:0 video."""
    return contract_rgb(_frame(_yuv420(rgb)))[: rgb.shape[0], : rgb.shape[1]]


def _yuv420(rgb: np.ndarray) -> av.VideoFrame:
    even = np.pad(rgb, ((0, rgb.shape[0] % 2), (0, rgb.shape[1] % 2), (0, 0)), mode="edge")
    return bt709(even)


def _frame(picture: av.VideoFrame) -> Frame:
    planes = []
    for plane in picture.planes:
        rows = np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, plane.line_size)
        planes.append(rows[:, : plane.width])
    return Frame(0, 0.0, planes[0], planes[1], planes[2], "yuv420p", 8, "420", "bt709", "tv")
