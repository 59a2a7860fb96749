"""The routes that hand offsets over in a file: through the FFmpeg program, and through an encoder's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import av
import ffmpeg
import numpy as np

from harness.errors import HarnessError, InputError
from harness.media.encode import Written, encoder_options
from harness.media.ffmpeg import BITEXACT, Stream, arguments, find_ffmpeg, url
from harness.media.frames import UNSPECIFIED, ClipInfo, Frame
from harness.media.programs import find_program, running
from harness.media.y4m import write_y4m
from harness.roi.encoders.base import Encoder, Program, Settings
from harness.roi.frame_offsets import FrameOffsets


def program_of(encoder: Encoder) -> Path:
    """The program of an encoder that comes as one; `InputError` when it is absent or too old."""
    assert encoder.program
    try:
        return find_program(encoder.name, encoder.program.reads)
    except InputError as error:
        advice = f"; {encoder.program.advice}" if encoder.program.advice else ""
        raise InputError(f"{error}{advice}") from error


def encode_by_file(
    info: ClipInfo,
    frames: Iterable[tuple[Frame, FrameOffsets | None]],
    encoder: Encoder,
    settings: Settings,
    options: dict[str, str],
    out: Path,
    progress: Callable[[int], None],
) -> Written:
    """Encode to `out`. Errors as in `encode`.

    The frames go through a y4m beside `out`, and their offsets, where they have any, through a file beside that.
    """
    if info.variable_rate or info.tick:
        raise InputError(f"{encoder.name} gets a raw stream, and {info.path} has a variable frame rate (use libx264)")
    form, own = encoder.offsets_file, encoder.program
    assert form
    program = program_of(encoder) if own else None
    if not program:
        find_ffmpeg().require(encoder=encoder.name)
    suffixes = (".y4m", ".roi.txt", own.suffix if own else "")
    raw, offsets, stream = (out.with_name(out.name + suffix) for suffix in suffixes)
    try:
        count, grids = _raw(info, frames, raw)
        if own and program:
            options |= own.tags(info)
        if grids:
            options, based = form.based(options, grids)
            form.write(offsets, based)
            options = form.named(options, offsets)
        if own and program:
            _run(program, own, raw, stream, options)
            video, options = ffmpeg.input(url(stream))["v:0"], {"c:v": "copy"}
        else:
            video, options = _tagged(ffmpeg.input(url(raw))["v:0"], info), _in_ffmpeg(encoder, settings, options)
        try:
            words = arguments(ffmpeg.output(video, url(out), **options, **BITEXACT))
            said = find_ffmpeg().run(words, progress=progress)
        except HarnessError as error:
            if "Unrecognized option" in str(error):
                raise InputError(f"{encoder.name} refuses {settings}: {error}") from error
            raise
        encoder.refuse_ignored(said.splitlines(), settings)
    finally:
        for path in {raw, offsets, stream} - {out}:
            path.unlink(missing_ok=True)
    with av.open(url(out)) as container:
        return Written(sum(packet.size for packet in container.demux(video=0)), count)


def _raw(
    info: ClipInfo, frames: Iterable[tuple[Frame, FrameOffsets | None]], raw: Path
) -> tuple[int, list[np.ndarray]]:
    """Write the frames; how many there were, and the offsets of those that have some."""
    grids: list[np.ndarray] = []

    def bare() -> Iterator[Frame]:
        for frame, asked in frames:
            if asked is not None:
                grids.append(asked.offsets.astype(np.float32))
            yield frame

    return write_y4m(raw, bare(), info.frame_rate, pixel_shape=info.pixel_shape, siting=info.siting), grids


def _tagged(video: Stream, info: ClipInfo) -> Stream:
    """The frames with the clip's colours, which a y4m cannot all state."""
    gamma = {"gamma22": "bt470m", "gamma28": "bt470bg"}.get(info.transfer, info.transfer)  # this filter's names
    tags = {"colorspace": info.matrix, "range": info.range, "color_primaries": info.primaries, "color_trc": gamma}
    stated = {name: value for name, value in tags.items() if value != UNSPECIFIED}
    return video.filter("setparams", **stated) if stated else video


def _in_ffmpeg(encoder: Encoder, settings: Settings, options: dict[str, str]) -> dict[str, str]:
    rate = {"b:v": f"{settings.bitrate}k"} if settings.bitrate else {}
    return {"c:v": encoder.name, **rate, **encoder_options(encoder.name, options)}


def _run(program: Path, own: Program, raw: Path, stream: Path, options: dict[str, str]) -> None:
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    with running([program, *own.io(raw, stream), *words]) as child:
        said = child.communicate()[1].decode("utf-8", "replace").splitlines()
    if child.returncode:
        errors = [line.strip() for line in said if "rror" in line] or ["it said nothing"]
        raise HarnessError(f"{program.name} failed (exit code {child.returncode}): {' | '.join(errors[:2])}")
