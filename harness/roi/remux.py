"""The last step of an encode that people keep: its video beside all else that the source's file holds.

PyAV writes no tags of codecs, fonts, HDR side data or index in front, so the FFmpeg program does it; no stream of
the encode is touched on the way.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av

from harness.errors import InputError
from harness.media.contents import Contents, Part
from harness.media.ffmpeg import BITEXACT, FFmpeg, find_ffmpeg, url
from harness.media.frames import ClipInfo

CARRIERS = (".nut", ".mkv")
MP4, WEBM = (".mp4", ".mov"), (".webm",)
BARE = (".264", ".h264", ".265", ".hevc", ".ivf")  # a stream and nothing else
TEXT = ("subrip", "ass", "ssa", "webvtt", "text", "mov_text")
TEXT_OF = {".mkv": "subrip", ".webm": "webvtt", ".mp4": "mov_text", ".mov": "mov_text"}
ATTACHED, CHAPTER_TRACK = "attached_pic", ("text",)
# Of the source's own encode, muxer or container: not true of the new file.
_STALE = re.compile(
    r"encoder|duration|bps|number_of_(frames|bytes)|_statistics_.*|vendor_id|handler_name|"
    r"major_brand|minor_version|compatible_brands|alpha_mode",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Carried:
    """What of a source's file goes into another: `parts`, each with the codec that it becomes ("" to stay as it is).

    `converted` and `lost` say in words what changes and what is left behind.
    """

    contents: Contents | None = None
    parts: tuple[tuple[Part, str], ...] = ()
    converted: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    chapters: bool = field(default=False)


def carrier_of(suffixes: Iterable[str]) -> str:
    """The suffix of the file that an encode goes through, for an encoder that writes files of `suffixes`.

    NUT holds any unit of time, and no colours; an encoder whose streams state few is one of Matroska's milliseconds.
    """
    return CARRIERS[0] if set(suffixes) & set(MP4) else CARRIERS[1]


def plan_remux(contents: Contents | None, out: Path) -> Carried:
    """What a container of `out`'s name can take of a source.

    Raises `InputError` for sound that it cannot hold: a film without it is never what was wanted.
    """
    if contents is None:
        return Carried()
    suffix, takes = out.suffix.lower(), _codecs_of(out)
    parts: list[tuple[Part, str]] = []
    converted, lost = [], list(contents.more)
    for part in contents.parts:
        if part.index == contents.shown or (part.tag in CHAPTER_TRACK and contents.chapters):
            continue
        if part.kind == "data" and part.metadata.get("timecode") and suffix not in BARE:
            continue  # written anew from its words
        if part.kind == "audio" and suffix not in BARE and part.codec not in takes:
            raise InputError(f"{out} takes no audio stream {part.codec} (allowed: .mkv, which takes all)")
        becomes = _becomes(part, suffix, takes)
        if becomes is None:
            lost.append(str(part))
            continue
        if becomes:
            converted.append(f"{part} becomes {becomes}")
        parts.append((part, becomes))
    chapters = bool(contents.chapters) and suffix not in BARE
    if contents.chapters and not chapters:
        lost.append(f"{contents.chapters} chapters")
    if contents.timecode and suffix in (*BARE, *WEBM):
        lost.append(f"timecode {contents.timecode}")
    return Carried(contents, tuple(parts), tuple(converted), tuple(lost), chapters)


def _becomes(part: Part, suffix: str, takes: frozenset[str]) -> str | None:
    """The codec that a stream must become, "" for its own, None where the container cannot hold it."""
    if suffix in BARE or part.kind == "data":
        return None
    if part.kind == "attachment":
        return "" if suffix == ".mkv" else None
    if part.kind == "video" and ATTACHED in part.dispositions and suffix in WEBM:
        return None
    if part.kind == "subtitle" and part.codec in TEXT and (part.codec not in takes or part.codec == "text"):
        return TEXT_OF.get(suffix)
    return "" if part.codec in takes else None


def _codecs_of(out: Path) -> frozenset[str]:
    form = {".mkv": "matroska", ".mov": "mov", ".mp4": "mp4", ".webm": "webm"}.get(out.suffix.lower())
    if form is None:
        return frozenset()
    with av.open(io.BytesIO(), "w", format=form) as container:
        return frozenset(container.supported_codecs)


def remux_command(ffmpeg: FFmpeg, carrier: Path, info: ClipInfo, carried: Carried, codec: str, out: Path) -> list[str]:
    """The words of the FFmpeg call that makes `out` from a `carrier` of `codec`."""
    suffix, contents = out.suffix.lower(), carried.contents
    words = ["-itsoffset", f"{float(info.begins):.6f}"]
    if info.look.mastering and ffmpeg.knows("-mastering_display"):
        words += ["-mastering_display", info.look.mastering]
    if info.look.light and ffmpeg.knows("-content_light"):
        words += ["-content_light", info.look.light]
    words += ["-i", url(carrier)]
    words += ["-i", url(contents.path)] if contents and suffix not in BARE else []
    words += ["-map", "0:v:0", *(word for part, _ in carried.parts for word in ("-map", f"1:{part.index}"))]
    words += ["-c", "copy"]
    if suffix in BARE:
        words += ["-map_metadata", "-1", *(["-bsf:v", "dump_extra"] if codec in ("h264", "hevc") else [])]
    elif contents:
        words += ["-map_metadata", "1", "-map_chapters", "1" if carried.chapters else "-1"]
        for key in ("major_brand", "minor_version", "compatible_brands", "encoder"):
            words += ["-metadata", f"{key}="]
        for number, (part, becomes) in enumerate([(contents.video, ""), *carried.parts]):
            words += [f"-c:{number}", becomes] if becomes else []
            words += _about(part, number, suffix)
        if contents.timecode and suffix not in WEBM:
            words += ["-metadata:s:0", f"timecode={contents.timecode}"]
    if suffix in MP4:
        words += ["-movflags", "+faststart", *(["-tag:v:0", "hvc1"] if codec == "hevc" else [])]
    if suffix == ".mkv":
        words += ["-default_mode", "passthrough"]
    if info.pixel_shape != 1:
        shape = info.pixel_shape * Fraction(info.width, info.height)
        words += ["-aspect:v:0", f"{shape.numerator}:{shape.denominator}"]
    return [*words, "-strict", "experimental", "-fflags", BITEXACT["fflags"], url(out)]


def _about(part: Part, number: int, suffix: str) -> list[str]:
    """Names, language and flags of one stream of the new file."""
    words = [f"-map_metadata:s:{number}", "-1", f"-disposition:{number}", "+".join(part.dispositions) or "0"]
    for key, value in _kept(part.metadata, suffix).items():
        words += [f"-metadata:s:{number}", f"{key}={value}"]
    return words


def _kept(metadata: Mapping[str, str], suffix: str) -> dict[str, str]:
    kept = {key: value for key, value in metadata.items() if not _STALE.fullmatch(key) and key.lower() != "timecode"}
    if "name" in kept and "title" not in kept:  # what MP4 calls it
        kept["title"] = kept.pop("name")
    return kept


def remux(carrier: Path, info: ClipInfo, carried: Carried, out: Path) -> None:
    """Write `out`: the video of `carrier` as it is, beside what is `carried`, the index first where there is one.

    Raises `HarnessError` with FFmpeg's words when it cannot.
    """
    with av.open(url(carrier)) as container:
        codec = container.streams.video[0].codec_context.name
    ffmpeg = find_ffmpeg()
    ffmpeg.run(remux_command(ffmpeg, carrier, info, carried, codec, out))
