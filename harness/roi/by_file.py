"""Encoders that read a map from a file: libkvazaar through the FFmpeg program, SVT-AV1 by its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from harness.errors import HarnessError, InputError
from harness.media.ffmpeg import filter_text, find_ffmpeg
from harness.media.frames import MATRICES, PRIMARIES, TRANSFERS, UNSPECIFIED, ClipInfo, Frame, code_of
from harness.media.programs import find_program, running
from harness.roi.encoders.base import Encoder, Settings
from harness.roi.plans import Plan

ROI_MAP = "--roi-map-file"


def program_of(encoder: Encoder) -> Path:
    """The program of an encoder that comes as one; `InputError` when it is absent or too old."""
    try:
        return find_program(encoder.name, ROI_MAP)
    except InputError as error:
        raise InputError(
            f"{error}; roi-encode with --export-map svtav1:PATH writes the map for one elsewhere"
        ) from error


def encode_by_file(
    info: ClipInfo,
    frames: Iterable[tuple[Frame, Plan | None]],
    encoder: Encoder,
    settings: Settings,
    options: dict[str, str],
    out: Path,
    progress: Callable[[int], None],
    copy_from: Path | None,
) -> tuple[int, int]:
    """Encode to `out`; bytes of video and number of frames. Errors as in `encode`."""
    if info.variable_rate:
        raise InputError(f"{encoder.name} gets a raw stream, and {info.path} has a variable frame rate (use libx264)")
    ffmpeg, program = find_ffmpeg(), None
    if encoder.route == "program":
        program = program_of(encoder)
    else:
        ffmpeg.require(encoder=encoder.name)
    raw, offsets, stream = (out.with_name(out.name + suffix) for suffix in (".y4m", ".roi.txt", ".ivf"))
    try:
        count = write_y4m_with_offsets(info, frames, raw, offsets, encoder)
        if program:
            _run_svtav1(program, raw, stream, offsets, {**options, **_svtav1_tags(info)})
            source, video = stream, ["-c:v", "copy"]
        else:
            source, video = raw, _kvazaar_words(info, encoder, settings, options, offsets)
        extra: list[str | Path] = ["-i", copy_from] if copy_from is not None and copy_from.is_file() else []
        copies: list[str | Path] = [
            "-map",
            "0:v:0",
            *(["-map", "1:a?", "-map", "1:s?", "-c:a", "copy", "-c:s", "copy"] if extra else []),
        ]
        try:
            said = ffmpeg.run(["-i", source, *extra, *copies, *video, out], progress=progress)
        except HarnessError as error:
            if "Unrecognized option" in str(error):
                raise InputError(f"{encoder.name} refuses {settings}: {error}") from error
            raise
        encoder.refuse_ignored(said.splitlines(), settings)
    finally:
        for path in (raw, offsets, stream):
            path.unlink(missing_ok=True)
    with av.open(str(out)) as container:
        return sum(packet.size for packet in container.demux(video=0)), count


def _kvazaar_words(
    info: ClipInfo, encoder: Encoder, settings: Settings, options: dict[str, str], offsets: Path
) -> list[str]:
    if offsets.exists():
        if any(char in str(offsets) for char in ",="):
            raise InputError(f"{offsets}: kvazaar's options cannot hold a path with , or = in it")
        options = {**options, "kvazaar-params": f"{options['kvazaar-params']},roi={offsets}".lstrip(",")}
    gamma = {"gamma22": "bt470m", "gamma28": "bt470bg"}.get(info.transfer, info.transfer)  # this filter's names
    tags = {"colorspace": info.matrix, "range": info.range, "color_primaries": info.primaries, "color_trc": gamma}
    stated = {name: value for name, value in tags.items() if value != UNSPECIFIED}
    tagging = {"vf": filter_text("setparams", **stated)} if stated else {}
    rate = {"b:v": f"{settings.bitrate}k"} if settings.bitrate else {}
    shape = info.pixel_shape * Fraction(info.width, info.height)
    aspect = {"aspect": f"{shape.numerator}:{shape.denominator}"} if info.pixel_shape != 1 else {}
    options = {"c:v": encoder.name, **rate, **tagging, **aspect, **options}
    return [word for name, value in options.items() for word in (f"-{name}", value)]


def _run_svtav1(program: Path, raw: Path, stream: Path, offsets: Path, options: dict[str, str]) -> None:
    command: list[str | Path] = [program, "-i", raw, "-b", stream, "--progress", "0"]
    command += [word for name, value in options.items() for word in (f"--{name}", value)]
    command += [ROI_MAP, offsets] if offsets.exists() else []
    with running(command) as child:
        said = child.communicate()[1].decode("utf-8", "replace").splitlines()
    if child.returncode:
        errors = [line.strip() for line in said if "rror" in line] or ["it said nothing"]
        raise HarnessError(f"{program.name} failed (exit code {child.returncode}): {' | '.join(errors[:2])}")


def _svtav1_tags(info: ClipInfo) -> dict[str, str]:
    named = {
        "matrix-coefficients": (MATRICES, info.matrix),
        "color-primaries": (PRIMARIES, info.primaries),
        "transfer-characteristics": (TRANSFERS, info.transfer),
    }
    codes = {name: code_of(names, value) for name, (names, value) in named.items()}
    return {name: str(code) for name, code in codes.items() if code is not None} | {
        "color-range": "1" if info.range == "pc" else "0"
    }


def write_y4m_with_offsets(
    info: ClipInfo,
    frames: Iterable[tuple[Frame, Plan | None]],
    raw: Path,
    offsets: Path | None = None,
    encoder: Encoder | None = None,
) -> int:
    """Write frames as y4m, and their offsets, if they have any, as `encoder` reads them; the number of frames."""
    count = 0
    grids: list[np.ndarray] = []
    with av.open(str(raw), "w", format="yuv4mpegpipe") as container:
        stream: Any = container.add_stream("rawvideo", rate=info.frame_rate)
        stream.width, stream.height, stream.pix_fmt = info.width, info.height, info.pix_fmt
        for frame, plan in frames:
            picture = frame.picture()
            picture.pts, picture.time_base = frame.index, 1 / info.frame_rate
            container.mux(stream.encode(picture))
            if plan is not None:
                grids.append(plan.offsets.astype(np.float32))
            count += 1
        container.mux(stream.encode(None))
    if grids and offsets is not None and encoder is not None and encoder.write_offsets:
        encoder.write_offsets(offsets, grids)
    return count
