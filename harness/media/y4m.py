"""y4m: lossless files of frames, which FFmpeg and the vmaf tool read without guessing, written and counted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from harness.errors import InputError
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


def count_y4m(path: Path) -> int:
    """Frames of a y4m by its own arithmetic: decoders drop or pad a truncated last frame in silence."""
    total = path.stat().st_size
    with path.open("rb") as stream:
        header = stream.readline(1024)
        fields = {word[:1]: word[1:] for word in header.decode("ascii", "replace").split()[1:]}
        if not header.startswith(b"YUV4MPEG2 ") or not {"W", "H"} <= fields.keys():
            raise InputError(f"clip {path}: its first bytes are {header[:16]!r} (a y4m begins with YUV4MPEG2 W… H…)")
        match = re.fullmatch(r"(mono|420|411|422|444)(p?(\d+)|\D.*)?", fields.get("C", "420"))
        if not match or not (fields["W"] + fields["H"]).isdecimal():
            raise InputError(f"clip {path}: y4m header {header.decode('ascii', 'replace').strip()!r} is not understood")
        width, height = int(fields["W"]), int(fields["H"])
        across = {"420": 2, "422": 2, "411": 4}.get(match[1], 1)
        down = 2 if match[1] == "420" else 1
        chroma = 0 if match[1] == "mono" else 2 * -(-width // across) * -(-height // down)
        depth = int(match[3] or 8)
        frame_bytes = (width * height + chroma) * (1 if depth <= 8 else 2)
        frames, position = 0, stream.tell()
        while position < total:
            stream.seek(position)
            mark = stream.readline(256)
            position += len(mark) + frame_bytes
            if not mark.startswith(b"FRAME") or position > total:
                raise InputError(
                    f"clip {path} is truncated or damaged: {total} bytes end or break in frame {frames} "
                    f"({width}x{height}, {frame_bytes} bytes a frame; allowed: whole frames)"
                )
            frames += 1
    if not frames:
        raise InputError(f"clip {path}: a y4m header and no frame")
    return frames


def _header(frame: Frame, rate: Fraction) -> bytes:
    chroma = _CHROMA_TAGS[frame.chroma]
    if frame.bit_depth > 8:
        chroma = f"mono{frame.bit_depth}" if frame.chroma == "400" else f"{frame.chroma}p{frame.bit_depth}"
    full = "FULL" if frame.range == "pc" else "LIMITED"
    size = f"W{frame.width} H{frame.height} F{rate.numerator}:{rate.denominator}"
    return f"YUV4MPEG2 {size} Ip A1:1 C{chroma} XCOLORRANGE={full}\n".encode()
