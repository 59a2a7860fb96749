"""Lossless y4m files from frames: what FFmpeg and the vmaf tool read without guessing."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from harness.files import whole_file
from harness.media.frames import Frame

_CHROMA_TAGS = {"400": "mono", "420": "420mpeg2", "422": "422", "444": "444"}


def write_y4m(path: Path, frames: Iterable[Frame], rate: Fraction) -> int:
    """Write planar frames of one format to `path`, whole or not at all; returns how many."""
    count = 0
    with whole_file(path) as part, part.open("wb") as stream:
        for frame in frames:
            if not count:
                stream.write(_header(frame, rate))
            stream.write(b"FRAME\n")
            for plane in (frame.y, frame.u, frame.v):
                if plane is not None:
                    stream.write(plane.tobytes())
            count += 1
    return count


def _header(frame: Frame, rate: Fraction) -> bytes:
    chroma = _CHROMA_TAGS[frame.chroma]
    if frame.bit_depth > 8:
        chroma = f"mono{frame.bit_depth}" if frame.chroma == "400" else f"{frame.chroma}p{frame.bit_depth}"
    full = "FULL" if frame.range == "pc" else "LIMITED"
    size = f"W{frame.width} H{frame.height} F{rate.numerator}:{rate.denominator}"
    return f"YUV4MPEG2 {size} Ip A1:1 C{chroma} XCOLORRANGE={full}\n".encode()
