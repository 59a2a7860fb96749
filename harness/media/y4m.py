"""y4m: lossless files of frames, which FFmpeg and the vmaf tool read without guessing, written and counted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from harness.errors import InputError
from harness.files import whole_file
from harness.media.frames import UNSPECIFIED, Frame

_SITINGS = {"420jpeg": "center", "420": "center", "420mpeg2": "left", "420paldv": "topleft"}  # under FFmpeg's names
_CHROMA_TAGS = {"400": "mono", "422": "422", "444": "444"}
_SIDE = re.compile("[1-9][0-9]{0,4}")  # pixels of a side, as a header states them
_RANGES = {"pc": " XCOLORRANGE=FULL", "tv": " XCOLORRANGE=LIMITED", UNSPECIFIED: ""}


def write_y4m(
    path: Path,
    frames: Iterable[Frame],
    rate: Fraction,
    *,
    pixel_shape: Fraction = Fraction(1),
    siting: str = UNSPECIFIED,
) -> int:
    """Write planar frames of one format to `path`, whole or not at all; returns how many. As `y4m_writer` does it."""
    count = 0
    with y4m_writer(path, rate, pixel_shape=pixel_shape, siting=siting) as add:
        for frame in frames:
            add(frame)
            count += 1
    return count


@contextmanager
def y4m_writer(
    path: Path, rate: Fraction, *, pixel_shape: Fraction = Fraction(1), siting: str = UNSPECIFIED
) -> Iterator[Callable[[Frame], None]]:
    """Yield a function that takes frames, in order; the file is whole or absent.

    The header states all that is known: size, rate, fields, pixel shape, chroma and where it sits (`siting`, under
    FFmpeg's names; unspecified is left, video's usual), and the range, if the first frame has one: without it FFmpeg
    takes samples for limited, and compares full ones after converting one side.
    Raises `InputError` for a frame of another format than the first.
    """
    first: Frame | None = None
    with whole_file(path) as part, part.open("wb") as stream:

        def add(frame: Frame) -> None:
            nonlocal first
            if first is None:
                first = frame
                stream.write(_header(frame, rate, pixel_shape, siting))
            elif _format(frame) != _format(first):
                raise InputError(f"{path}: frame {frame.index} is {_format(frame)}, the first {_format(first)}")
            stream.write(b"FRAME\n")
            for plane in (frame.y, frame.u, frame.v):
                if plane is not None:
                    stream.write(plane.tobytes())

        yield add


def _format(frame: Frame) -> str:
    return f"{frame.width}x{frame.height} {frame.pix_fmt} {frame.range}"


def _header(frame: Frame, rate: Fraction, pixel_shape: Fraction, siting: str) -> bytes:
    if frame.bit_depth > 8:
        chroma = f"mono{frame.bit_depth}" if frame.chroma == "400" else f"{frame.chroma}p{frame.bit_depth}"
    elif frame.chroma == "420":
        chroma = {"center": "420jpeg", "topleft": "420paldv"}.get(siting, "420mpeg2")
    else:
        chroma = _CHROMA_TAGS[frame.chroma]
    fields = "I?" if frame.interlaced else "Ip"  # which of two fields is first, a frame does not know
    shape = f"A{pixel_shape.numerator}:{pixel_shape.denominator}"
    size = f"W{frame.width} H{frame.height} F{rate.numerator}:{rate.denominator}"
    return f"YUV4MPEG2 {size} {fields} {shape} C{chroma}{_RANGES[frame.range]}\n".encode()


def inspect_y4m(path: Path) -> tuple[int, str]:
    """Frames of a y4m by its own arithmetic, as decoders drop or pad a truncated last one in silence; and its siting.

    Raises `InputError` for a header that is none, and for a file that ends or breaks within a frame.
    """
    total = path.stat().st_size
    with path.open("rb") as stream:
        header = stream.readline(1024)
        fields = {word[:1]: word[1:] for word in header.decode("ascii", "replace").split()[1:]}
        if not header.startswith(b"YUV4MPEG2 ") or not {"W", "H"} <= fields.keys():
            raise InputError(f"clip {path}: its first bytes are {header[:16]!r} (a y4m begins with YUV4MPEG2 W… H…)")
        match = re.fullmatch(r"(mono|420|411|422|444)(p?(\d+)|\D.*)?", fields.get("C", "420"))
        if not match or not all(_SIDE.fullmatch(fields[side]) for side in "WH"):
            raise InputError(f"clip {path}: y4m header {header.decode('ascii', 'replace').strip()!r} is not understood")
        width, height = int(fields["W"]), int(fields["H"])
        across = {"420": 2, "422": 2, "411": 4}.get(match[1], 1)
        down = 2 if match[1] == "420" else 1
        chroma = 0 if match[1] == "mono" else 2 * -(-width // across) * -(-height // down)
        depth = int((match[3] or "8")[:3])
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
    return frames, _SITINGS.get(fields.get("C", "420"), UNSPECIFIED)
