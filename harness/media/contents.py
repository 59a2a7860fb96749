"""Everything that a file holds beside the samples of its picture: other streams, names, chapters, side data, times."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import ffmpeg
import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.stream import Disposition

from harness.media.ffmpeg import arguments, find_ffmpeg, url
from harness.media.frames import ClipInfo, Look
from harness.media.open import Clip, opened, shown_stream

# What the first frame or the stream may carry that is kept otherwise, refused before, or tells only of the encoder.
_ACCOUNTED = (
    *("mastering display metadata", "content light level metadata", "displaymatrix", "h.26[45] user data unregistered"),
    *("cpb properties", "video encoding parameters", "user data unregistered", "regions of interest", "gop timecode"),
    *("skip samples", "quantization parameters", "smpte 12-1 timecode", "timecode", "frame cropping"),
)
_CAPTIONS = "A53 captions"
SITINGS = ("center", "topleft", "top", "bottomleft", "bottom")


@dataclass(frozen=True)
class Part:
    """One stream of a file: `dispositions` under FFmpeg's names; `tag` is the container's own name of the codec."""

    index: int
    kind: str
    codec: str
    tag: str
    dispositions: tuple[str, ...]
    metadata: Mapping[str, str]

    def __str__(self) -> str:
        words = [self.metadata.get("language", ""), self.metadata.get("title") or self.metadata.get("filename", "")]
        named = ", ".join([self.codec, *(word for word in words if word not in ("", "und"))])
        return f"{self.kind} stream {self.index} ({named})"


@dataclass(frozen=True)
class Contents:
    """All streams of a file in their order; `shown` is the index of the one whose picture is encoded.

    `more` names what the picture carries beside samples and colours that no encode here can state.
    """

    path: Path
    parts: tuple[Part, ...]
    shown: int
    chapters: int
    timecode: str
    more: tuple[str, ...]

    @property
    def video(self) -> Part:
        """The part that is shown."""
        return self.parts[self.shown]


def read_contents(clip: Clip) -> tuple[Clip, Contents | None]:
    """What else is in the clip's file, and the clip with its `tick` and `look` known; None where nothing can be.

    Raw video, y4m and folders of pictures hold nothing else.
    """
    info = clip.info
    if clip.demuxer or info.path.is_dir() or info.path.suffix.lower() == ".y4m":
        return clip, None
    said = _shown_by_ffmpeg(info)
    with opened(info.path) as container:
        stream = shown_stream(container)
        parts = tuple(_part(each, said) for each in container.streams)
        chapters = len(container.chapters())
        info = replace(info, start=Fraction(container.start_time or 0, av.time_base))
        pix_fmt, alpha_mode = stream.codec_context.pix_fmt or info.pix_fmt, stream.metadata.get("ALPHA_MODE")
        frame = next(container.decode(stream), None)
        sides: Any = frame.side_data if frame else {}
        hdr = (sides.get(kind) for kind in (SideData.MASTERING_DISPLAY_METADATA, SideData.CONTENT_LIGHT_LEVEL))
        mastering, light = (None if side is None else bytes(side) for side in hdr)
    place = re.search(r" cl:(\w+)", said)
    siting = place[1] if place and place[1] in SITINGS else ""  # left is what is meant where nothing is stated
    begins, tick = _times(info)
    look = Look(siting, _mastering(mastering), _light(light))
    known = replace(clip, info=replace(info, begins=begins, tick=tick, look=look))
    codes = [part.metadata[key] for part in parts for key in ("timecode", "TIMECODE") if key in part.metadata]
    alpha = len(av.VideoFormat(pix_fmt).components) in (2, 4) or alpha_mode == "1"
    more = (*(["alpha"] if alpha else []), *_side_data(said, info.stream))
    return known, Contents(info.path, parts, info.stream, chapters, next(iter(codes), ""), more)


def _times(info: ClipInfo) -> tuple[Fraction, Fraction | None]:
    """When the picture begins, and the stream's unit of time: None where frames are `1 / frame_rate` apart, to a unit.

    Also None where packets have no times of their own. No packet is decoded.
    """
    with opened(info.path) as container:
        stream = shown_stream(container)
        unit = stream.time_base
        stamps = [packet.pts for packet in container.demux(stream) if packet.size and not packet.is_discard]
    known = sorted(stamp for stamp in stamps if stamp is not None)
    if unit is None or not known or len(known) < len(stamps):
        return Fraction(0), None
    tick = Fraction(unit)
    times = [stamp * tick - info.start for stamp in known]
    first = round(times[0] * info.frame_rate)
    slack = tick if tick * 4 <= 1 / info.frame_rate else 0  # Matroska's milliseconds
    if all(abs(time - (first + index) / info.frame_rate) <= slack for index, time in enumerate(times)):
        return first / info.frame_rate, None
    return round(times[0] / tick) * tick, tick


def _part(stream: Any, said: str) -> Part:
    match = re.search(rf"Stream #0:{stream.index}\b.*?: (?:Data|Attachment): (\w+)(?: \((\w+) /)?", said)
    context = stream.codec_context
    codec = context.codec.canonical_name if context else match[1] if match else "unknown"
    held = tuple(flag.name for flag in Disposition if flag.name and stream.disposition & flag)
    return Part(stream.index, stream.type, codec, (match and match[2]) or "", held, dict(stream.metadata))


def _shown_by_ffmpeg(info: ClipInfo) -> str:
    """What FFmpeg says of a file, its streams and the first frame of the one that is shown."""
    shown = ffmpeg.input(url(info.path))[str(info.stream)].filter("showinfo").output("-", f="null", vframes=1)
    return find_ffmpeg().run(["-loglevel", "info", *arguments(shown)])


def _side_data(said: str, stream: int) -> tuple[str, ...]:
    """Names of side data of the stream and its first frame, but what is accounted for elsewhere."""
    names = re.findall(r"side data - ([^:\n]+)", said)
    own = re.search(rf"Stream #0:{stream}\b.*(?:\n(?!.*Stream ).*)*", said)
    if own:
        names += re.findall(r"^\[info\] {6,}([A-Za-z][^:\n]*)", own[0].partition("Side data:")[2], re.MULTILINE)
        if "Closed Captions" in own[0].splitlines()[0]:
            names.append(_CAPTIONS)
    kinds = dict.fromkeys(_CAPTIONS if "losed captions" in name.lower() else name.strip().lower() for name in names)
    return tuple(kind for kind in kinds if not kind.startswith(_ACCOUNTED))


def _mastering(data: bytes | None) -> str:
    """FFmpeg's `AVMasteringDisplayMetadata` in units of 1/50000 and 1/10000 cd/m²."""
    if data is None:
        return ""
    numbers = np.frombuffer(data[:88], "=i4")
    if not numbers[20] or not numbers[21]:
        return ""
    ratios = [Fraction(int(top), int(bottom)) for top, bottom in numbers[:20].reshape(10, 2)]
    red, green, blue, white = (tuple(round(value * 50_000) for value in ratios[at : at + 2]) for at in (0, 2, 4, 6))
    darkest, brightest = (round(value * 10_000) for value in ratios[8:10])
    places = (("G", green), ("B", blue), ("R", red), ("WP", white), ("L", (brightest, darkest)))
    return "".join(f"{name}({one},{two})" for name, (one, two) in places)


def _light(data: bytes | None) -> str:
    return ",".join(map(str, np.frombuffer(data[:8], "=u4"))) if data else ""
