"""Encode a clip with a map steering the encoder, or plainly: the same code and options, but for the map."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from harness.errors import HarnessError, InputError
from harness.files import whole_file
from harness.media.ffmpeg import BITEXACT, find_ffmpeg
from harness.media.frames import MATRICES, PRIMARIES, RANGES, TRANSFERS, ClipInfo, Frame, code_of
from harness.media.prefetch import prefetch
from harness.roi.copied_streams import CopiedStreams
from harness.roi.encoders.base import Encoder, Settings
from harness.roi.frame_offsets import FrameOffsets
from harness.roi.offsets_file import encode_by_file
from harness.roi.side_data import OffsetsAsSideData

VARIABLE_TIME_BASE = Fraction(1, 90_000)
DEPTH = 4  # frames made before the encoder asks for them


@dataclass(frozen=True)
class Pass:
    """Which of two passes this is, 1 or 2, and the file that the first leaves for the second."""

    number: int
    statistics: Path


@dataclass(frozen=True)
class Encoded:
    """What came out: `bytes` of video packets and the number of frames."""

    bytes: int
    frames: int


def check_suffix(out: Path, encoder: Encoder) -> None:
    """Raise `InputError` when the encoder cannot write a file of that name."""
    if out.suffix.lower() not in encoder.suffixes:
        raise InputError(
            f"{out}: {encoder.name} does not write {out.suffix!r} (allowed: {', '.join(encoder.suffixes)})"
        )


def check_frame(frame: Frame, path: Path) -> None:
    """`InputError` for a frame that would be shown otherwise once it is encoded."""
    if frame.interlaced:
        raise InputError(
            f"frame {frame.index} of {path} is interlaced, and would be encoded and mapped as if it were not "
            "(deinterlace first: ffmpeg -i CLIP -vf bwdif OUT)"
        )
    if frame.turned:
        raise InputError(
            f"{path} is stored turned or mirrored, and the model would see it so "
            "(turn it first: ffmpeg -i CLIP OUT does by default)"
        )


def encode(
    info: ClipInfo,
    frames: Iterable[tuple[Frame, FrameOffsets | None]],
    encoder: Encoder,
    settings: Settings,
    out: Path,
    progress: Callable[[int], None] | None = None,
    copy_from: Path | None = None,
    one_of_two: Pass | None = None,
) -> Encoded:
    """Encode to `out`, steered where a frame has offsets; audio and subtitles are copied from `copy_from`.

    `one_of_two` makes this the first or the second of two passes over the same frames and offsets.
    Raises `InputError` when encoder, options or container refuse the clip, `HarnessError` when encoding fails.
    """
    encoder.check(info)
    check_suffix(out, encoder)
    options = encoder.options(settings)
    if one_of_two and encoder.passes:
        for name, value in encoder.passes(one_of_two.number, one_of_two.statistics).items():
            options[name] = ":".join(filter(None, [options.get(name), value]))
    run = _through_side_data if encoder.route == "side-data" else encode_by_file
    report = progress or (lambda done: None)
    try:
        # a thread of its own, so that saliency overlaps with encoding
        with closing(prefetch(_checked(frames, info.path), DEPTH)) as fit:
            encoded = Encoded(*run(info, fit, encoder, settings, options, out, report, copy_from))
        _shape_pixels(info, out)
        return encoded
    except av.FFmpegError as error:
        raise HarnessError(f"{encoder.name} failed on {info.path}: {_said(error)} (with {settings})") from error


def _checked(
    frames: Iterable[tuple[Frame, FrameOffsets | None]], path: Path
) -> Iterator[tuple[Frame, FrameOffsets | None]]:
    for frame, asked in frames:
        check_frame(frame, path)
        yield frame, asked


def _shape_pixels(info: ClipInfo, out: Path) -> None:
    """State the shape of the pixels in the container: PyAV cannot, and VP8, VP9 and AV1 do not in the stream."""
    with av.open(str(out)) as container:
        if (container.streams.video[0].sample_aspect_ratio or 1) == info.pixel_shape:
            return
    shape = info.pixel_shape * Fraction(info.width, info.height)
    words = ["-map", "0", "-c", "copy", "-aspect", f"{shape.numerator}:{shape.denominator}"]
    with whole_file(out) as shaped:
        find_ffmpeg().run(["-i", out, *words, "-fflags", BITEXACT["fflags"], shaped])


def _said(error: av.FFmpegError) -> str:
    return f"{error.strerror or error}".strip()


def _through_side_data(
    info: ClipInfo,
    frames: Iterable[tuple[Frame, FrameOffsets | None]],
    encoder: Encoder,
    settings: Settings,
    options: dict[str, str],
    out: Path,
    progress: Callable[[int], None],
    copy_from: Path | None,
) -> tuple[int, int]:
    if encoder.name not in av.codecs_available:
        raise InputError(f"{encoder.name} is not in this PyAV's FFmpeg (allowed: encoders that it has)")
    time_base = VARIABLE_TIME_BASE if info.variable_rate else 1 / info.frame_rate
    side_data = OffsetsAsSideData(info, encoder)
    total = count = 0
    with av.open(str(out), "w", options=BITEXACT) as container, CopiedStreams(copy_from) as copied:
        stream = _add_stream(container, info, encoder, settings, options, time_base)
        copied.announce(container)

        def write(picture: av.VideoFrame | None) -> None:
            nonlocal total
            for packet in stream.encode(picture):
                total += packet.size
                if packet.dts is not None:
                    copied.copy_until(container, float(packet.dts * packet.time_base))
                container.mux(packet)

        for frame, asked in frames:
            picture = frame.picture() if asked is None else side_data.picture(frame, asked.offsets)
            picture.pts = round(frame.time / time_base)
            picture.time_base = time_base
            _tag(picture, info)
            write(picture)
            count += 1
            progress(count)
        write(None)
        copied.copy_until(container, float("inf"))
    return total, count


def _add_stream(
    container: Any,
    info: ClipInfo,
    encoder: Encoder,
    settings: Settings,
    options: dict[str, str],
    time_base: Fraction,
) -> av.VideoStream:
    stream: av.VideoStream = container.add_stream(encoder.name, rate=info.frame_rate, options=options)
    stream.width, stream.height = info.width, info.height
    stream.pix_fmt = dict(encoder.layouts).get(info.pix_fmt, info.pix_fmt)
    stream.codec_context.time_base = time_base
    stream.codec_context.sample_aspect_ratio = info.pixel_shape
    stream.codec_context.bit_rate = (settings.bitrate or 0) * 1000
    _tag(stream.codec_context, info)
    encoder.refuse_ignored(_open(stream.codec_context, encoder, settings), settings)
    unknown = sorted(stream.codec_context.options)
    if unknown:
        raise InputError(f"{encoder.name} knows no option {unknown[0]!r} (allowed: FFmpeg's options of {encoder.name})")
    return stream


def _open(context: Any, encoder: Encoder, settings: Settings) -> list[str]:
    """Open the encoder; its warnings. `InputError` when it does not open."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.WARNING)
    try:
        with av.logging.Capture() as logs:
            context.open()
    except av.FFmpegError as error:
        if encoder.hardware:
            raise InputError(f"{encoder.name} does not open: {_said(error)} (needs {encoder.hardware})") from error
        raise InputError(f"{encoder.name} refuses {settings}: {_said(error)}") from error
    finally:
        av.logging.set_level(level)
    return [text.strip() for _, _, text in logs]


def _tag(target: Any, info: ClipInfo) -> None:
    for attribute, names, value in (
        ("colorspace", MATRICES, info.matrix),
        ("color_range", RANGES, info.range),
        ("color_primaries", PRIMARIES, info.primaries),
        ("color_trc", TRANSFERS, info.transfer),
    ):
        code = code_of(names, value)
        if code is not None and hasattr(target, attribute):
            setattr(target, attribute, code)
