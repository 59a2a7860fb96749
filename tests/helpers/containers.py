"""Files that containers tell lies or truths about, made on the spot: cropped, cut by an edit list, packed."""

from __future__ import annotations

import struct
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from harness.media.ffmpeg import find_ffmpeg

SHARP = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "12", "-threads", "1")
TAGS = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"
_VOP = b"\0\0\1\xb6"


def ff(*words: str | Path) -> None:
    """Run FFmpeg, to the end or not at all."""
    subprocess.run([find_ffmpeg().path, "-y", "-loglevel", "error", *map(str, words)], check=True)


def drawn(path: Path, *words: str, size: str = "160x96", frames: int = 12, rate: int = 25) -> Path:
    """FFmpeg's moving test picture, encoded as `words` say, else without loss."""
    picture = f"testsrc2=size={size}:rate={rate}:duration={frames / rate}"
    pix_fmt = () if "-pix_fmt" in words else ("-pix_fmt", "yuv420p")
    ff("-f", "lavfi", "-i", picture, *(words or ("-c:v", "ffv1")), *pix_fmt, path)
    return path


def cropped(path: Path, left: int, right: int, top: int, bottom: int, **shape: Any) -> Path:
    """H.264 in .mkv or .mp4 whose container crops: the boxes of its colours make room for those of the crop."""
    size = shape.setdefault("size", "160x96")
    drawn(path, "-vf", TAGS, *SHARP, *(("-write_crc32", "0") if path.suffix == ".mkv" else ()), **shape)
    content = path.read_bytes()
    if path.suffix == ".mkv":
        colour = content.index(bytes.fromhex("55b090"))
        sides = {0x54BB: top, 0x54AA: bottom, 0x54CC: left, 0x54DD: right}
        crop = b"".join(struct.pack(">HBB", name, 0x81, value) for name, value in sides.items())
        path.write_bytes(content[:colour] + crop + b"\xec\x81\0" + content[colour + 19 :])
        return path
    width, height = map(int, size.split("x"))
    boxes = content.index(b"colr") - 4
    assert content[boxes + 23 : boxes + 27] == b"pasp" and content[boxes + 39 : boxes + 43] == b"btrt"
    offsets = left - right, top - bottom  # of the centre, in half pixels
    aperture = (width - left - right, 1, height - top - bottom, 1, offsets[0], 2, offsets[1], 2)
    clap = struct.pack(">I4s8i", 40, b"clap", *aperture)
    path.write_bytes(content[:boxes] + clap + struct.pack(">I4s7x", 15, b"free") + content[boxes + 55 :])
    return path


def cut_by_edit_list(path: Path, frames: int, rate: int = 25) -> Path:
    """Let an .mp4's edit list begin so many frames later; nothing of its samples is touched."""
    content = bytearray(path.read_bytes())
    entry = content.index(b"elst") + 12
    length, begins = struct.unpack_from(">Ii", content, entry)
    unit = struct.unpack_from(">I", content, content.index(b"mdhd") + 16)[0]
    struct.pack_into(">Ii", content, entry, length - 1000 * frames // rate, begins + unit * frames // rate)
    path.write_bytes(content)
    return path


def packed(path: Path, **shape: Any) -> Path:
    """MPEG-4 in an .avi as DivX 5 wrote it: B-frames in the packets of P-frames, empty ones in their place."""
    plain = drawn(path.with_name("plain.avi"), "-c:v", "mpeg4", "-q:v", "2", "-bf", "1", "-b_strategy", "0", **shape)
    with av.open(str(plain)) as source, av.open(str(path), "w") as into:
        stream = source.streams.video[0]
        apart = [bytes(packet) for packet in source.demux(stream) if packet.size]
        copy = into.add_stream_from_template(stream)
        for number, data in enumerate(_packed(apart)):
            packet = av.Packet(data)
            packet.stream, packet.time_base, packet.duration = copy, Fraction(1, 25), 1
            packet.pts = packet.dts = number
            packet.is_keyframe = number == 0
            into.mux(packet)
    return path


def _packed(apart: list[bytes]) -> list[bytes]:
    kinds = [data[data.index(_VOP) + 4] >> 6 for data in apart]  # 0, 1, 2: I, P, B
    told = apart[0].index(_VOP)
    found = [apart[0][:told] + b"\0\0\1\xb2DivX503b1393p" + apart[0][told:]]
    for before, kind, data in zip(kinds, kinds[1:], apart[1:], strict=False):
        if (before, kind) == (1, 2):
            found[-1] += data
        found.append(_VOP + b"\x50\0\0" if kind == 2 else data)
    return found
