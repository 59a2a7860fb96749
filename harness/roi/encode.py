"""Encode a clip with a map steering the encoder, or plainly: the same code and options, but for the map."""

from __future__ import annotations

import ctypes
import re
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import Type as SideData

from harness.errors import HarnessError, InputError
from harness.media.clips import (
    MATRICES,
    PRIMARIES,
    RANGES,
    TRANSFERS,
    UNSPECIFIED,
    Clip,
    ClipInfo,
    Frame,
    code_of,
)
from harness.media.ffmpeg import filter_text, find_ffmpeg
from harness.media.programs import find_program, running
from harness.roi.encoders.base import Encoder, Settings
from harness.roi.offsets import Knob, block_areas, grid_means, merged_means, neutral
from harness.roi.regions import Region, regions_of
from harness.saliency.colour import true_rgb
from harness.saliency.sources import Mapper
from harness.saliency.temporal import Smoother
from harness.saliency.working_size import NATIVE, WorkingSize

VARIABLE_TIME_BASE = Fraction(1, 90_000)
ROI_MAP = "--roi-map-file"
QP_UNITS = 1000
REGION = np.dtype([(name, "=i4") for name in ("size", "top", "bottom", "left", "right", "numerator", "denominator")])
"""FFmpeg's `AVRegionOfInterest`."""
HYSTERESIS = 0.05  # of the area: a map that changes less keeps the last one


@dataclass(frozen=True)
class Plan:
    """What one frame asks of the encoder: mean saliency and offset in QP of every block, `[rows, columns]`."""

    means: np.ndarray
    offsets: np.ndarray


Item = TypeVar("Item")


def plans_of(
    clip: Clip, mapper: Mapper, working: WorkingSize, knob: Knob, encoder: Encoder, weight: float = 1.0
) -> Iterator[tuple[Frame, Plan]]:
    """Frames with their plans. `weight` is the newest map's in the average over time (1: no smoothing).

    Maps are made, averaged and met with the blocks at the working size: no step runs over the whole picture.
    """
    height, width = clip.info.height, clip.info.width
    size = working.of(height, width)
    areas = block_areas(height, width, encoder.block)
    smoother = Smoother(weight)
    peak = (1 << clip.info.bit_depth) - 1
    last: np.ndarray | None = None
    for frame in clip:
        saliency = np.asarray(mapper(str(frame.index), true_rgb(frame, size), NATIVE))
        if saliency.dtype == np.uint8:
            saliency = saliency.astype(np.float32) / 255
        means = grid_means(smoother.add(saliency, frame.y, peak), height, width, encoder.block)
        offsets = _fitting(knob.raw(means, areas), height, width, encoder)
        if last is not None and areas[offsets != last].sum() < HYSTERESIS * areas.sum():
            offsets = last
        last = offsets
        yield frame, Plan(means, offsets)


def _fitting(raw: np.ndarray, height: int, width: int, encoder: Encoder) -> np.ndarray:
    """Neutral offsets; in blocks as much larger as it takes where the encoder could not take their rectangles."""
    areas, times = block_areas(height, width, encoder.block), 1
    offsets = neutral(raw, areas, encoder.steps)
    while encoder.regions and len(regions_of(offsets, encoder.block, height, width)) > encoder.regions:
        times *= 2
        larger = merged_means(raw, height, width, encoder.block, times * encoder.block)
        spread = np.kron(larger, np.ones((times, times)))[: raw.shape[0], : raw.shape[1]]
        offsets = neutral(spread, areas, encoder.steps)
    return offsets


def ahead(items: Iterator[Item], depth: int = 4) -> Iterator[Item]:
    """The same items, worked out up to `depth` ahead in another thread: saliency overlaps with encoding."""
    end: Any = object()
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, items, end) for _ in range(depth))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(pool.submit(next, items, end))
            yield item


class Attacher:
    """Makes pictures that carry offsets as region-of-interest side data.

    PyAV can read that side data but not make it; FFmpeg's `addroi` filter makes it, one region a filter, too slowly
    for every frame. So one such picture is made once, of empty regions, and each frame is written over it.
    """

    def __init__(self, info: ClipInfo, encoder: Encoder) -> None:
        self.info, self.block, self.limit = info, encoder.block, encoder.regions
        self.scale = encoder.fraction + 6 * (info.bit_depth - 8)
        self.places = 0  # regions that the picture has room for
        self.canvas: Any = None
        self.offsets: np.ndarray | None = None
        self.table = b""

    def picture(self, frame: Frame, offsets: np.ndarray) -> av.VideoFrame:
        """`frame` with its offsets in QP per block as side data, valid until the next call; encoders copy it."""
        if offsets is not self.offsets:
            regions = regions_of(offsets, self.block, self.info.height, self.info.width)
            exact = self.limit is not None and len(regions) != self.places  # no room for empty ones to spare
            if regions and (exact or len(regions) > self.places):
                self.places = len(regions) if exact else max(64, 2 * len(regions))
                self.canvas = self._with_empty_regions()
            self.offsets, self.table = offsets, self._table(regions)
        if not self.table:
            return frame.picture()
        self.canvas.make_writable()  # no cost unless the encoder still holds it
        data = self.canvas.side_data[SideData.REGIONS_OF_INTEREST]
        if data.buffer_size != len(self.table):
            raise HarnessError(
                f"this FFmpeg's AVRegionOfInterest is no {REGION.itemsize} bytes long (PyAV {av.__version__})"
            )
        ctypes.memmove(data.buffer_ptr, self.table, len(self.table))
        return frame.picture(self.canvas)

    def _table(self, regions: list[Region]) -> bytes:
        if not regions:
            return b""
        table = np.zeros(self.places, REGION)
        table["size"], table["denominator"] = REGION.itemsize, round(self.scale * QP_UNITS)
        x, y, width, height, offset = np.array(regions).T
        used = table[: len(regions)]
        used["top"], used["bottom"], used["left"], used["right"] = y, y + height, x, x + width
        used["numerator"] = np.round(offset * QP_UNITS)  # whole QPs stay whole where encoders truncate
        table["numerator"][len(regions) :] = used["numerator"][-1]  # empty, and no new value for VP8's segments
        return table.tobytes()

    def _with_empty_regions(self) -> Any:
        graph = Graph()
        picture = av.VideoFrame(self.info.width, self.info.height, self.info.pix_fmt)
        picture.pts, picture.time_base = 0, VARIABLE_TIME_BASE
        size = {"width": picture.width, "height": picture.height, "format": self.info.pix_fmt}
        source = last = graph.add_buffer(**size, time_base=picture.time_base)  # type: ignore[arg-type]
        for _ in range(self.places):
            step = graph.add("addroi", "x=0:y=0:w=0:h=0:qoffset=0")
            last.link_to(step)
            last = step
        sink = graph.add("buffersink")
        last.link_to(sink)
        graph.configure()
        source.push(picture)
        made: Any = sink.pull()
        return made


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


def encode(
    info: ClipInfo,
    frames: Iterable[tuple[Frame, Plan | None]],
    encoder: Encoder,
    settings: Settings,
    out: Path,
    progress: Callable[[int], None] | None = None,
    copy_from: Path | None = None,
    one_of_two: Pass | None = None,
) -> Encoded:
    """Encode to `out`, steered where a frame has a plan; audio and subtitles are copied from `copy_from`.

    `one_of_two` makes this the first or the second of two passes over the same frames and plans.
    Raises `InputError` when encoder, options or container refuse the clip, `HarnessError` when encoding fails.
    """
    encoder.check(info)
    check_suffix(out, encoder)
    options = encoder.options(settings)
    if one_of_two and encoder.passes:
        for name, value in encoder.passes(one_of_two.number, one_of_two.statistics).items():
            options[name] = ":".join(filter(None, [options.get(name), value]))
    run = _through_side_data if encoder.route == "side-data" else _through_file
    try:
        return run(info, frames, encoder, settings, options, out, progress or (lambda done: None), copy_from)
    except av.FFmpegError as error:
        raise HarnessError(f"{encoder.name} failed on {info.path}: {_said(error)} (with {settings})") from error


def _said(error: av.FFmpegError) -> str:
    return f"{error.strerror or error}".strip()


def _through_side_data(
    info: ClipInfo,
    frames: Iterable[tuple[Frame, Plan | None]],
    encoder: Encoder,
    settings: Settings,
    options: dict[str, str],
    out: Path,
    progress: Callable[[int], None],
    copy_from: Path | None,
) -> Encoded:
    if encoder.name not in av.codecs_available:
        raise InputError(f"{encoder.name} is not in this PyAV's FFmpeg (allowed: encoders that it has)")
    time_base = VARIABLE_TIME_BASE if info.variable_rate else 1 / info.frame_rate
    attacher = Attacher(info, encoder)
    total = count = 0
    with av.open(str(out), "w") as container, Companions(copy_from) as companions:
        stream = _add_stream(container, info, encoder, settings, options, time_base)
        companions.announce(container)

        def write(picture: av.VideoFrame | None) -> None:
            nonlocal total
            for packet in stream.encode(picture):
                total += packet.size
                if packet.dts is not None:
                    companions.copy_until(container, float(packet.dts * packet.time_base))
                container.mux(packet)

        for frame, plan in frames:
            picture = frame.picture() if plan is None else attacher.picture(frame, plan.offsets)
            picture.pts = round(frame.time / time_base)
            picture.time_base = time_base
            _tag(picture, info)
            write(picture)
            count += 1
            progress(count)
        write(None)
        companions.copy_until(container, float("inf"))
    return Encoded(total, count)


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
    stream.codec_context.bit_rate = (settings.bitrate or 0) * 1000
    _tag(stream.codec_context, info)
    _refuse_ignored(_open(stream.codec_context, encoder, settings), encoder, settings)
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


def _refuse_ignored(said: Iterable[str], encoder: Encoder, settings: Settings) -> None:
    for line in said:
        if re.search("(unknown|invalid) option|error parsing option|invalid value", line, re.IGNORECASE):
            words = re.sub(r"^(\[[^]]*\] ?)+", "", line)
            raise InputError(f"{encoder.name} would ignore a part of {settings}: {words}")


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


def check_companions(source: Path, out: Path) -> None:
    """`InputError` when a container of `out`'s name cannot take an audio or subtitle stream of `source` as it is."""
    with Companions(source) as companions, tempfile.TemporaryDirectory() as folder:
        streams = [s for s in companions.streams if s.type in ("audio", "subtitle")]
        if not streams:
            return
        with av.open(str(Path(folder, f"empty{out.suffix}")), "w") as container:
            for stream in streams:
                codec = stream.codec_context.codec.canonical_name
                if codec not in container.supported_codecs:
                    raise InputError(f"{out} takes no {stream.type} stream {codec} (allowed: .mkv, which takes all)")


class Companions:
    """Audio and subtitle streams of the source, copied packet by packet in step with the video."""

    def __init__(self, path: Path | None) -> None:
        self.path = path if path is not None and path.is_file() else None
        self.source: Any = None

    def __enter__(self) -> Companions:
        if self.path is not None:
            try:
                self.source = av.open(str(self.path))
            except (av.FFmpegError, ValueError):  # raw video: no container, so no companions
                self.source = None
        return self

    def __exit__(self, *_: object) -> None:
        if self.source is not None:
            self.source.close()

    @property
    def streams(self) -> list[Any]:
        """All streams of the source; none when it is raw video or a folder."""
        return list(self.source.streams) if self.source is not None else []

    def announce(self, container: Any) -> None:
        """Add the streams to the output, which `check_companions` found able to take them."""
        self.targets: dict[int, Any] = {}
        for stream in self.streams:
            if stream.type in ("audio", "subtitle"):
                self.targets[stream.index] = container.add_stream_from_template(stream)
        chosen = [self.source.streams[index] for index in self.targets]
        self.packets = self.source.demux(chosen) if chosen else iter(())
        self.waiting = next(self.packets, None)

    def copy_until(self, container: Any, time: float) -> None:
        """Mux all packets that decode before `time` in seconds."""
        while self.waiting is not None:
            packet = self.waiting
            if packet.dts is not None:
                if float(packet.dts * packet.time_base) > time:
                    return
                packet.stream = self.targets[packet.stream.index]
                container.mux(packet)
            self.waiting = next(self.packets, None)


def _through_file(
    info: ClipInfo,
    frames: Iterable[tuple[Frame, Plan | None]],
    encoder: Encoder,
    settings: Settings,
    options: dict[str, str],
    out: Path,
    progress: Callable[[int], None],
    copy_from: Path | None,
) -> Encoded:
    if info.variable_rate:
        raise InputError(f"{encoder.name} gets a raw stream, and {info.path} has a variable frame rate (use libx264)")
    ffmpeg, program = find_ffmpeg(), None
    if encoder.route == "program":
        program = find_program(encoder.name, ROI_MAP, "or --export-map svtav1:PATH, for one elsewhere")
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
        said = ffmpeg.run(["-i", source, *extra, *copies, *video, out], progress=progress)
        _refuse_ignored(said.splitlines(), encoder, settings)
    finally:
        for path in (raw, offsets, stream):
            path.unlink(missing_ok=True)
    with av.open(str(out)) as container:
        return Encoded(sum(packet.size for packet in container.demux(video=0)), count)


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
    options = {"c:v": encoder.name, **rate, **tagging, **options}
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
