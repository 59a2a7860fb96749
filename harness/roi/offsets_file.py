"""The routes that hand offsets over in a file: through the FFmpeg program, and through an encoder's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from harness.errors import HarnessError, InputError
from harness.media.ffmpeg import BITEXACT, filter_text, find_ffmpeg
from harness.media.frames import UNSPECIFIED, ClipInfo, Frame
from harness.media.programs import find_program, running
from harness.media.y4m import write_y4m
from harness.roi.encoders.base import Encoder, OffsetsFile, Program, Settings
from harness.roi.frame_offsets import FrameOffsets

Words = list[str | Path]


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
    copy_from: Path | None,
) -> tuple[int, int]:
    """Encode to `out`; bytes of video and number of frames. Errors as in `encode`.

    The frames go through a y4m beside `out`, and their offsets, where they have any, through a file beside that.
    """
    if info.variable_rate:
        raise InputError(f"{encoder.name} gets a raw stream, and {info.path} has a variable frame rate (use libx264)")
    form, own = encoder.offsets_file, encoder.program
    assert form
    ffmpeg, program = find_ffmpeg(), program_of(encoder) if own else None
    if not program:
        ffmpeg.require(encoder=encoder.name)
    suffixes = (".y4m", ".roi.txt", own.suffix if own else "")
    raw, offsets, stream = (out.with_name(out.name + suffix) for suffix in suffixes)
    try:
        count = _write(info, frames, form, raw, offsets)
        if own and program:
            options |= own.tags(info)
        if offsets.exists():
            options = form.named(options, offsets)
        if own and program:
            _run(program, own, raw, stream, options)
            source, video = stream, ["-c:v", "copy"]
        else:
            source, video = raw, _ffmpeg_words(info, encoder, settings, options)
        extra: Words = ["-i", copy_from] if copy_from is not None and copy_from.is_file() else []
        copies = ["-map", "1:a?", "-map", "1:s?", "-c:a", "copy", "-c:s", "copy"] if extra else []
        try:
            words = ["-i", source, *extra, "-map", "0:v:0", *copies, *video, *_words(BITEXACT), out]
            said = ffmpeg.run(words, progress=progress)
        except HarnessError as error:
            if "Unrecognized option" in str(error):
                raise InputError(f"{encoder.name} refuses {settings}: {error}") from error
            raise
        encoder.refuse_ignored(said.splitlines(), settings)
    finally:
        for path in {raw, offsets, stream} - {out}:
            path.unlink(missing_ok=True)
    with av.open(str(out)) as container:
        return sum(packet.size for packet in container.demux(video=0)), count


def _write(
    info: ClipInfo, frames: Iterable[tuple[Frame, FrameOffsets | None]], form: OffsetsFile, raw: Path, offsets: Path
) -> int:
    grids: list[np.ndarray] = []

    def bare() -> Iterator[Frame]:
        for frame, asked in frames:
            if asked is not None:
                grids.append(asked.offsets.astype(np.float32))
            yield frame

    count = write_y4m(raw, bare(), info.frame_rate)
    if grids:
        form.write(offsets, grids)
    return count


def _ffmpeg_words(info: ClipInfo, encoder: Encoder, settings: Settings, options: dict[str, str]) -> list[str]:
    gamma = {"gamma22": "bt470m", "gamma28": "bt470bg"}.get(info.transfer, info.transfer)  # this filter's names
    tags = {"colorspace": info.matrix, "range": info.range, "color_primaries": info.primaries, "color_trc": gamma}
    stated = {name: value for name, value in tags.items() if value != UNSPECIFIED}
    tagging = {"vf": filter_text("setparams", **stated)} if stated else {}
    rate = {"b:v": f"{settings.bitrate}k"} if settings.bitrate else {}
    shape = info.pixel_shape * Fraction(info.width, info.height)
    aspect = {"aspect": f"{shape.numerator}:{shape.denominator}"} if info.pixel_shape != 1 else {}
    options = {"c:v": encoder.name, **rate, **tagging, **aspect, **options}
    return _words(options)


def _words(options: dict[str, str]) -> list[str]:
    return [word for name, value in options.items() for word in (f"-{name}", value)]


def _run(program: Path, own: Program, raw: Path, stream: Path, options: dict[str, str]) -> None:
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    with running([program, *own.io(raw, stream), *words]) as child:
        said = child.communicate()[1].decode("utf-8", "replace").splitlines()
    if child.returncode:
        errors = [line.strip() for line in said if "rror" in line] or ["it said nothing"]
        raise HarnessError(f"{program.name} failed (exit code {child.returncode}): {' | '.join(errors[:2])}")
