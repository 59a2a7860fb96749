"""Encode a clip with a map steering the encoder, or plainly: the same code and options, but for the map."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import av

from harness.errors import HarnessError, InputError
from harness.media.encode import VideoFile, Written, reason, state_pixel_shape
from harness.media.frames import ClipInfo, Frame
from harness.media.prefetch import prefetch
from harness.roi.encoders.base import Encoder, Settings
from harness.roi.frame_offsets import FrameOffsets
from harness.roi.offsets_file import encode_by_file
from harness.roi.remux import CARRIERS
from harness.roi.side_data import OffsetsAsSideData

DEPTH = 4  # frames made before the encoder asks for them


@dataclass(frozen=True)
class Pass:
    """Which of two passes this is, 1 or 2, and the file that the first leaves for the second."""

    number: int
    statistics: Path


def check_suffix(out: Path, encoder: Encoder) -> None:
    """Raise `InputError` when the encoder cannot write a file of that name."""
    if out.suffix.lower() not in (*encoder.suffixes, *CARRIERS):
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
    one_of_two: Pass | None = None,
) -> Written:
    """Encode to `out`, steered where a frame has offsets: a file of the picture alone.

    `one_of_two` makes this the first or the second of two passes over the same frames and offsets.
    Raises `InputError` when encoder, options or container refuse the clip, `HarnessError` when encoding fails.
    """
    encoder.check(info)
    check_suffix(out, encoder)
    options = encoder.stating(info, encoder.options(settings))
    if one_of_two and encoder.passes:
        for name, value in encoder.passes(one_of_two.number, one_of_two.statistics).items():
            options[name] = ":".join(filter(None, [options.get(name), value]))
    run = _through_side_data if encoder.route == "side-data" else encode_by_file
    report = progress or (lambda done: None)
    try:
        # a thread of its own, so that saliency overlaps with encoding
        with closing(prefetch(_checked(frames, info.path), DEPTH)) as fit:
            written = run(info, fit, encoder, settings, options, out, report)
        state_pixel_shape(out, info)
        return written
    except av.FFmpegError as error:
        raise HarnessError(f"{encoder.name} failed on {info.path}: {reason(error)} (with {settings})") from error


def _checked(
    frames: Iterable[tuple[Frame, FrameOffsets | None]], path: Path
) -> Iterator[tuple[Frame, FrameOffsets | None]]:
    last = -math.inf
    for frame, asked in frames:
        check_frame(frame, path)
        if frame.time <= last:
            raise InputError(
                f"{path}: frame {frame.index} is shown at {frame.time:.3f} s, after one at {last:.3f} s (allowed: "
                "ascending times; packed B-frames of an AVI: ffmpeg -i CLIP -c copy -bsf:v mpeg4_unpack_bframes OUT)"
            )
        last = frame.time
        yield frame, asked


def _through_side_data(
    info: ClipInfo,
    frames: Iterable[tuple[Frame, FrameOffsets | None]],
    encoder: Encoder,
    settings: Settings,
    options: dict[str, str],
    out: Path,
    progress: Callable[[int], None],
) -> Written:
    side_data = OffsetsAsSideData(info, encoder)
    with _opened(info, encoder, settings, options, out) as file:
        encoder.refuse_ignored(file.said, settings)
        for frame, asked in frames:
            picture = frame.picture() if asked is None else side_data.picture(frame, asked.offsets)
            file.add(picture, frame.time)
            progress(file.frames)
    return Written(file.bytes, file.frames)


def _opened(info: ClipInfo, encoder: Encoder, settings: Settings, options: dict[str, str], out: Path) -> VideoFile:
    """The output, its encoder open; `InputError` when it does not open."""
    layout = dict(encoder.layouts).get(info.pix_fmt)
    try:
        return VideoFile(out, info, encoder.name, options, pix_fmt=layout, bitrate=settings.bitrate)
    except av.FFmpegError as error:
        if encoder.hardware:
            raise InputError(f"{encoder.name} does not open: {reason(error)} (needs {encoder.hardware})") from error
        raise InputError(f"{encoder.name} refuses {settings}: {reason(error)}") from error
