"""The one loop that turns pictures into a video file by PyAV: options, rate, times, colour tags, pixel shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import ffmpeg
import numpy as np

from harness.errors import HarnessError, InputError
from harness.files import whole_file
from harness.media.ffmpeg import BITEXACT, arguments, find_ffmpeg, url
from harness.media.frames import MATRICES, PRIMARIES, RANGES, TRANSFERS, ClipInfo, Frame, bt709, code_of
from harness.media.said import said
from harness.media.x264 import steady

VARIABLE_TIME_BASE = Fraction(1, 90_000)


@dataclass(frozen=True)
class Written:
    """What is in a file: `bytes` of video packets, and the number of frames."""

    bytes: int
    frames: int


def encoder_options(encoder: str, options: Mapping[str, str]) -> dict[str, str]:
    """FFmpeg's `options` for an encoder as every encode here gives them, by PyAV or by the program.

    x264 does without AVX-512, which gives other bytes each time: see `harness.media.x264`.
    """
    return steady(dict(options)) if encoder == "libx264" else dict(options)


class VideoFile:
    """A video file that is being written: its encoder is open, pictures go in one by one, in order.

    `said` are the encoder's warnings on opening; `bytes` of video packets and `frames` count what went in so far.
    """

    def __init__(
        self,
        path: Path,
        info: ClipInfo,
        encoder: str = "libx264",
        options: Mapping[str, str] | None = None,
        *,
        pix_fmt: str | None = None,
        bitrate: int | None = None,
    ) -> None:
        """Open `path` for pictures as `info` describes them, `pix_fmt` apart; `bitrate` is in kbit/s.

        Raises `InputError` for an encoder or option that PyAV's FFmpeg does not know, `av.FFmpegError` when the
        encoder does not open with what it is given.
        """
        if encoder not in av.codecs_available:
            raise InputError(f"{encoder} is not in this PyAV's FFmpeg (allowed: encoders that it has)")
        self.bytes = self.frames = 0
        self._info = info
        self._time_base = info.tick or (VARIABLE_TIME_BASE if info.variable_rate else 1 / info.frame_rate)
        self._container = av.open(url(path), "w", options=BITEXACT)
        try:
            chosen = encoder_options(encoder, options or {})
            if info.look.siting:
                chosen.setdefault("chroma_sample_location", info.look.siting)
            self._stream = cast(Any, self._container.add_stream(encoder, rate=info.frame_rate, options=chosen))
            context = self._stream.codec_context
            context.width, context.height, context.pix_fmt = info.width, info.height, pix_fmt or info.pix_fmt
            context.time_base, context.sample_aspect_ratio = self._time_base, info.pixel_shape
            context.bit_rate = (bitrate or 0) * 1000
            _tag(context, info)
            self.said = _opened(context)
            if unknown := sorted(context.options):
                known = f"allowed: FFmpeg's options of {encoder}"
                raise InputError(f"{encoder} knows no option {unknown[0]!r} ({known})")
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._write(None)
        finally:
            self._container.close()

    def add(self, picture: av.VideoFrame, time: float | Fraction) -> None:
        """Encode one more picture, shown at `time` in seconds of the clip's clock; its tags are set here."""
        time -= float(self._info.start)
        picture.pts, picture.time_base = round(time / self._time_base), self._time_base
        _tag(picture, self._info)
        self._write(picture)
        self.frames += 1

    def _write(self, picture: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(picture):
            self.bytes += packet.size
            self._container.mux(packet)


def encode_frames(
    path: Path,
    frames: Iterable[Frame],
    info: ClipInfo,
    encoder: str = "libx264",
    options: Mapping[str, str] | None = None,
) -> Written:
    """Encode frames of a clip like `info` to `path`.

    Raises `InputError` as `VideoFile` does, and `HarnessError` when the encoder fails or there are no frames.
    """
    try:
        with VideoFile(path, info, encoder, options) as file:
            for frame in frames:
                file.add(frame.picture(), frame.time)
    except av.FFmpegError as error:
        raise HarnessError(f"{encoder} failed on {info.path}: {reason(error)}") from error
    if not file.frames:
        raise HarnessError(f"nothing to encode into {path.name}: no frames")
    state_pixel_shape(path, info)
    return Written(file.bytes, file.frames)


def state_pixel_shape(path: Path, info: ClipInfo) -> None:
    """State the shape of the pixels in the container: PyAV cannot, and VP8, VP9 and AV1 do not in the stream."""
    with av.open(url(path)) as container:
        if (container.streams.video[0].sample_aspect_ratio or 1) == info.pixel_shape:
            return
    shape = info.pixel_shape * Fraction(info.width, info.height)
    with whole_file(path) as shaped:
        stated = {"map": 0, "c": "copy", "aspect": f"{shape.numerator}:{shape.denominator}", **BITEXACT}
        find_ffmpeg().run(arguments(ffmpeg.input(url(path)).output(url(shaped), **stated)))


@contextmanager
def drawn_video(path: Path, rate: Fraction, crf: int) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that takes drawings, RGB uint8 `[H, W, 3]` of one size, and encodes them to look at.

    H.264, 4:2:0 by BT.709 and tagged so; an odd side loses its last line. Without a drawing there is no file.
    """
    file: VideoFile | None = None
    with ExitStack() as stack:

        def add(rgb: np.ndarray) -> None:
            nonlocal file
            height, width = (side // 2 * 2 for side in rgb.shape[:2])
            if file is None:
                tags = ("bt709", "tv", "bt709", "bt709")
                info = ClipInfo(path, width, height, "yuv420p", 8, "420", rate, None, *tags)
                options = {"crf": str(crf), "preset": "veryfast"}
                file = stack.enter_context(VideoFile(path, info, options=options))
            file.add(bt709(rgb[:height, :width]), file.frames / rate)

        yield add


def reason(error: av.FFmpegError) -> str:
    """What FFmpeg says of a failure."""
    return f"{error.strerror or error}".strip()


def _opened(context: Any) -> list[str]:
    """Open the encoder; its warnings."""
    with said(av.logging.WARNING) as logs:
        context.open()
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
