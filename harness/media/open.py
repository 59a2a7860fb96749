"""Open anything that holds moving pictures, describe it, and stream its frames."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.stream import Disposition

from harness.errors import InputError
from harness.media.crop import check_crop, read_crop
from harness.media.ffmpeg import url
from harness.media.frames import (
    MATRICES,
    PRIMARIES,
    RANGES,
    TRANSFERS,
    UNSPECIFIED,
    ClipInfo,
    Frame,
    bt709,
    pix_fmt_name,
)
from harness.media.pictures import PICTURE_SUFFIXES, read_rgb
from harness.media.y4m import inspect_y4m

RAW_SUFFIXES = (".yuv", ".raw")
DEFAULT_FPS = Fraction(25)  # FFmpeg's own default where a file states no rate


@dataclass(frozen=True)
class Clip:
    """An opened clip: every iteration decodes it from its start, one frame in memory at a time."""

    info: ClipInfo
    demuxer: str | None = None
    options: tuple[tuple[str, str], ...] = ()

    def __iter__(self) -> Iterator[Frame]:
        if self.info.path.is_dir():
            return _sequence_frames(self.info)
        return _stream_frames(self.info, self.demuxer, dict(self.options))


def open_clip(
    path: Path | str,
    size: tuple[int, int] | None = None,
    pix_fmt: str | None = None,
    fps: Fraction | int | str | None = None,
) -> Clip:
    """Open a container, y4m, raw YUV (`.yuv`, `.raw`: `size` (width, height) and `pix_fmt` required) or a folder
    of pictures in name order.

    Pictures of a folder become limited-range BT.709 4:2:0 whatever their own colours. `fps` is for raw video and
    folders (default 25). Raises `InputError` for anything missing, empty, truncated, or without video.
    """
    path = Path(path)
    if path.is_dir():
        _refuse_options(path, "a folder of pictures", size=size, pix_fmt=pix_fmt)
        return Clip(_describe_sequence(path, _rate(fps)))
    if not path.is_file():
        raise InputError(f"clip {path}: no such file or folder")
    if path.stat().st_size == 0:
        raise InputError(f"clip {path} is empty: 0 bytes (allowed: a video file, y4m, raw YUV or a folder of pictures)")
    if path.suffix.lower() in RAW_SUFFIXES:
        return _open_raw(path, size, pix_fmt, _rate(fps))
    _refuse_options(path, "a file that states its own", size=size, pix_fmt=pix_fmt, fps=fps)
    if path.suffix.lower() == ".y4m":
        frames, siting = inspect_y4m(path)
        return Clip(replace(_describe_stream(path, frames=frames), siting=siting))
    return Clip(_describe_stream(path))


def picture_paths(folder: Path) -> list[Path]:
    """The pictures of a folder in name order, hidden files left out.

    Raises `InputError` when there is none, or when name order is not the order of the numbers that names end in.
    """
    pictures = (path for path in Path(folder).iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    found = sorted(path for path in pictures if not path.name.startswith("."))
    if not found:
        raise InputError(f"clip {folder}: a folder without pictures (allowed: {', '.join(PICTURE_SUFFIXES)})")
    parts = [match.groups() for path in found if (match := re.fullmatch(r"(.*?)(\d+)", path.stem))]
    numbered = len(parts) == len(found) and len({prefix for prefix, _ in parts}) == 1
    for before, after in pairwise(range(len(found) if numbered else 0)):
        if int(parts[before][1]) > int(parts[after][1]):
            raise InputError(
                f"clip {folder}: by name {found[before].name} comes before {found[after].name} "
                f"(allowed: numbers of one width, such as 0002.png and 0010.png)"
            )
    return found


def _refuse_options(path: Path, kind: str, **options: object) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise InputError(
            f"clip {path}: {' and '.join(given)} given for {kind} (allowed for: {', '.join(RAW_SUFFIXES)})"
        )


def _rate(fps: Fraction | int | str | None) -> Fraction:
    try:
        rate = DEFAULT_FPS if fps is None else Fraction(fps)
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f"frame rate {fps!r} (allowed: a number or a fraction such as 30000/1001)") from error
    if rate <= 0:
        raise InputError(f"frame rate {fps} (allowed: above 0)")
    return rate


# Raw YUV -------------------------------------------------------------------------------------------------------------


def _open_raw(path: Path, size: tuple[int, int] | None, pix_fmt: str | None, rate: Fraction) -> Clip:
    if size is None or pix_fmt is None:
        raise InputError(f"clip {path} is raw video: give its size and pixel format, for example 640x360 yuv420p")
    width, height = size
    layout = _format(pix_fmt, width, height)
    frame_bytes = _frame_bytes(layout)
    if layout.components[0].bits == 8:
        _refuse_deep(path, pix_fmt)
    total = path.stat().st_size
    if total % frame_bytes:
        raise InputError(
            f"clip {path}: {total} bytes are {total // frame_bytes} frames of {width}x{height} {pix_fmt} "
            f"({frame_bytes} bytes each) and {total % frame_bytes} bytes over (allowed: whole frames)"
        )
    options = {"video_size": f"{width}x{height}", "pixel_format": pix_fmt, "framerate": str(rate)}
    info = _describe_stream(path, "rawvideo", options, total // frame_bytes)
    return Clip(info, "rawvideo", tuple(options.items()))


def _refuse_deep(path: Path, pix_fmt: str) -> None:
    """`InputError` where bytes are halves of deeper samples: every other one all but empty, beside others that vary."""
    total, found = path.stat().st_size, False
    with path.open("rb") as stream:
        for part in range(4):
            stream.seek(total * part // 4 // 2 * 2)
            block = np.frombuffer(stream.read(1 << 18), np.uint8)
            low, high = block[: len(block) // 2 * 2 : 2], block[1::2]
            if not len(high) or high.max() >= 1 << 4:
                return
            found |= int(np.ptp(low)) >= 1 << 6
    if found:
        raise InputError(
            f"clip {path}: every other byte is below 16, so its samples have 10 or 12 bits and not the 8 of {pix_fmt} "
            f"(allowed: their format, such as {pix_fmt}10le)"
        )


def _format(pix_fmt: str, width: int, height: int) -> av.VideoFormat:
    if width < 1 or height < 1:
        raise InputError(f"size {width}x{height} (allowed: at least 1x1)")
    try:
        return av.VideoFormat(pix_fmt, width, height)
    except ValueError as error:
        raise InputError(f"unknown pixel format {pix_fmt!r} (allowed: FFmpeg's names, such as yuv420p)") from error


def _frame_bytes(layout: av.VideoFormat) -> int:
    if layout.is_rgb:  # packed
        return layout.width * layout.height * layout.bits_per_pixel // 8
    return sum(part.width * part.height * ((part.bits + 7) // 8) for part in layout.components)


# Containers ----------------------------------------------------------------------------------------------------------


@contextmanager
def opened(
    path: Path, demuxer: str | None = None, options: Mapping[str, str] | None = None
) -> Iterator[av.container.InputContainer]:
    """A file that holds video, to be taken apart; `InputError` when it holds none, or turns out to be damaged."""
    with _open(path, demuxer, dict(options or {})) as container:
        try:
            yield container
        except av.FFmpegError as error:
            raise InputError(f"clip {path} is truncated or damaged: {error.strerror}") from error


def _open(path: Path, demuxer: str | None, options: dict[str, str]) -> av.container.InputContainer:
    try:
        container = av.open(url(path), format=demuxer, options=options)
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"clip {path} is not a video that FFmpeg can open: {reason}") from error
    kinds = sorted({stream.type for stream in container.streams})
    context = shown_stream(container).codec_context if container.streams.video else None
    if context and context.name != "ansi":  # FFmpeg takes any text file for terminal art
        return container
    unknown = container.streams.video and not context
    container.close()
    if unknown:
        raise InputError(f"clip {path}: its video stream is of a codec that FFmpeg does not know")
    raise InputError(f"clip {path} holds no video stream (found: {', '.join(kinds) or 'nothing'})")


def shown_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The video stream that a player would show: the first that is marked as default, else the first.

    Covers and other attached pictures are none, unless the file holds nothing else.
    """
    streams = container.streams.video
    films = [stream for stream in streams if not stream.disposition & Disposition.attached_pic] or list(streams)
    return next((stream for stream in films if stream.disposition & Disposition.default), films[0])


def _describe_stream(
    path: Path, demuxer: str | None = None, options: dict[str, str] | None = None, frames: int | None = None
) -> ClipInfo:
    with opened(path, demuxer, options) as container:
        stream = shown_stream(container)
        context = stream.codec_context
        if not context.pix_fmt or not context.width or not context.height:
            raise InputError(f"clip {path}: its {context.name} video stream states no size or pixel format")
        bit_depth, chroma = _layout(av.VideoFormat(context.pix_fmt, context.width, context.height))
        average = Fraction(stream.average_rate or stream.base_rate or DEFAULT_FPS)
        base = Fraction(stream.base_rate or average)
        full_range = context.pix_fmt.startswith("yuvj")
        crop = read_crop(container, stream.index)
        if crop:
            check_crop(crop, path, context.width, context.height, chroma)
        return ClipInfo(
            path=path,
            width=context.width - crop.left - crop.right,
            height=context.height - crop.top - crop.bottom,
            pix_fmt=pix_fmt_name(bit_depth, chroma),
            bit_depth=bit_depth,
            chroma=chroma,
            frame_rate=average,
            frames=frames or stream.frames or None,
            counted=frames is not None,
            stored=context.pix_fmt,
            matrix=MATRICES.get(int(context.colorspace), UNSPECIFIED),
            range="pc" if full_range else RANGES.get(int(context.color_range), UNSPECIFIED),
            primaries=PRIMARIES.get(int(context.color_primaries), UNSPECIFIED),
            transfer=TRANSFERS.get(int(context.color_trc), UNSPECIFIED),
            variable_rate=abs(base / average - 1) > Fraction(1, 100),
            audio=len(container.streams.audio),
            subtitles=len(container.streams.subtitles),
            pixel_shape=Fraction(stream.sample_aspect_ratio or 1),
            stream=stream.index,
            crop=crop,
        )


def _layout(layout: av.VideoFormat) -> tuple[int, str]:
    """Bit depth and chroma of the planar YUV format that serves a stream's own format without loss."""
    parts = layout.components
    bit_depth = next((depth for depth in (8, 9, 10, 12, 14, 16) if depth >= parts[0].bits), 16)
    if len(parts) < 3:
        return bit_depth, "400"
    across, down = parts[0].width > parts[1].width, parts[0].height > parts[1].height
    return bit_depth, "420" if down else "422" if across else "444"


def _stream_frames(info: ClipInfo, demuxer: str | None, options: dict[str, str]) -> Iterator[Frame]:
    index, end = 0, Fraction(0)
    with _open(info.path, demuxer, options) as container:
        stream = shown_stream(container)
        stream.thread_type = "AUTO"
        try:
            for packet in container.demux(stream):
                if packet.is_corrupt:
                    raise InputError(f"clip {info.path} is truncated or damaged: it breaks off after frame {index}")
                if packet.pts is not None and packet.time_base:
                    length = packet.duration * packet.time_base if packet.duration else 1 / info.frame_rate
                    end = max(end, packet.pts * packet.time_base + length)
                for picture in packet.decode():
                    time = float(index / info.frame_rate) if picture.time is None else picture.time
                    yield _frame(picture, index, time, info)
                    index += 1
        except av.FFmpegError as error:
            reason = f"after frame {index}: {error.strerror}"
            raise InputError(f"clip {info.path} is truncated or damaged {reason}") from error
        stated = _seconds(stream.metadata.get("DURATION"))
    if not index:
        raise InputError(f"clip {info.path}: a video stream and no frame that decodes")
    # Matroska ends in silence where it was cut; its header still says how long it was
    if stated and not info.variable_rate and stated - end > Fraction(1, 2) / info.frame_rate:
        raise InputError(
            f"clip {info.path} is truncated: {float(end):.3f} s and {index} frames found, "
            f"its header says {float(stated):.3f} s"
        )


def _seconds(clock: str | None) -> Fraction | None:
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", clock or "")
    return int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3]) if match else None


def _frame(picture: av.VideoFrame, index: int, time: float, info: ClipInfo) -> Frame:
    width, height = info.width + info.crop.left + info.crop.right, info.height + info.crop.top + info.crop.bottom
    if (picture.width, picture.height) != (width, height):
        raise InputError(
            f"clip {info.path}: frame {index} is {picture.width}x{picture.height}, the first is "
            f"{width}x{height} (allowed: one size)"
        )
    format_ = picture.format.name
    if info.stored and format_ != info.stored:
        raise InputError(
            f"clip {info.path}: frame {index} is {format_}, its stream begins as {info.stored} (allowed: one format; "
            f"split it there, or convert it: ffmpeg -i {info.path.name} -pix_fmt {info.pix_fmt} -c:v ffv1 OUT.mkv)"
        )
    flipped = index == 0 and _flipped(picture)
    turn = picture.rotation % 360
    shown = (picture.interlaced_frame, bool(turn) or flipped, None if flipped or turn % 90 else turn)
    range_ = RANGES.get(int(picture.color_range), UNSPECIFIED) if info.stored else UNSPECIFIED
    if range_ != UNSPECIFIED and (range_ == "pc") != (info.range == "pc"):
        raise InputError(
            f"clip {info.path}: frame {index} is of range {range_}, its stream begins as {info.range} "
            "(allowed: one range; split it there, and convert one part)"
        )
    if format_.replace("yuvj", "yuv") != info.pix_fmt:
        picture = picture.reformat(format=info.pix_fmt)
    dtype = np.uint8 if info.bit_depth == 8 else np.uint16
    planes = [
        np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)[:, : plane.width] for plane in picture.planes
    ]
    if info.crop:
        planes = [info.crop.of(plane, width, height) for plane in planes]
    u, v = planes[1:] if len(planes) == 3 else (None, None)
    tags = (info.pix_fmt, info.bit_depth, info.chroma, info.matrix, info.range)
    return Frame(index, time, planes[0], u, v, *tags, *shown)


def _flipped(picture: av.VideoFrame) -> bool:
    """Whether it is to be shown mirrored. For one frame only: asking PyAV ties each frame to itself until gc runs."""
    sides: Any = picture.side_data  # iterating over it gave values until PyAV 19, and keys since
    side = sides.get(SideData.DISPLAYMATRIX)
    matrices = [] if side is None else [np.frombuffer(bytes(side), "=i4")]
    return any(int(one[0]) * int(one[4]) - int(one[1]) * int(one[3]) < 0 for one in matrices)


# Folders of pictures -------------------------------------------------------------------------------------------------


def _describe_sequence(folder: Path, rate: Fraction) -> ClipInfo:
    paths = picture_paths(folder)
    height, width, _ = read_rgb(paths[0]).shape
    tags = ("bt709", "tv", "bt709", "bt709")
    siting = "center"  # libswscale makes a chroma sample of four pixels
    return ClipInfo(folder, width, height, "yuv420p", 8, "420", rate, len(paths), *tags, siting=siting, counted=True)


def _sequence_frames(info: ClipInfo) -> Iterator[Frame]:
    for index, path in enumerate(picture_paths(info.path)):
        rgb = read_rgb(path)
        if rgb.shape[:2] != (info.height, info.width):
            raise InputError(
                f"clip {info.path}: {path.name} is {rgb.shape[1]}x{rgb.shape[0]}, the first is "
                f"{info.width}x{info.height} (allowed: one size)"
            )
        yield _frame(bt709(rgb), index, float(index / info.frame_rate), info)
