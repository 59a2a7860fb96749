"""The last step of an encode that people keep: its video beside all else that the source's file holds.

PyAV writes no tags of codecs, fonts, HDR side data or index in front, so the FFmpeg program does it; no stream of
the encode is touched on the way.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from harness.errors import InputError
from harness.media.contents import Contents, Part
from harness.media.ffmpeg import BITEXACT, FFmpeg, find_ffmpeg, url
from harness.media.frames import ClipInfo
from harness.media.open import opened

CARRIERS = (".nut", ".mkv")
MP4, WEBM = (".mp4", ".mov"), (".webm",)
BARE = (".264", ".h264", ".265", ".hevc", ".ivf")  # a stream and nothing else
TEXT = ("subrip", "ass", "ssa", "webvtt", "text", "mov_text")
TEXT_OF = {".mkv": "subrip", ".webm": "webvtt", ".mp4": "mov_text", ".mov": "mov_text"}
ATTACHED, CHAPTER_TRACK = "attached_pic", ("text",)
COVERS = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png"), "bmp": ("cover.bmp", "image/bmp")}
# Of the source's own encode, muxer or container: not true of the new file.
_OF_THE_MUXER = ("encoder", "major_brand", "minor_version", "compatible_brands")
_STALE = re.compile(
    r"encoder|duration|bps|number_of_(frames|bytes)|_statistics_.*|vendor_id|handler_name|alpha_mode|timecode",
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
    chapters: bool = False


def carrier_of(suffixes: Iterable[str]) -> str:
    """The suffix of the file that an encode goes through, for an encoder that writes files of `suffixes`.

    NUT holds any unit of time, and no colours; an encoder whose streams state few is one of Matroska's milliseconds.
    """
    return CARRIERS[0] if set(suffixes) & set(MP4) else CARRIERS[1]


def plan_remux(contents: Contents | None, out: Path, unstated: Iterable[str] = ()) -> Carried:
    """What a container of `out`'s name can take of a source; `unstated` is what the encoder cannot state.

    Raises `InputError` for sound that it cannot hold: a film without it is never what was wanted.
    """
    if contents is None:
        return Carried()
    suffix, takes = out.suffix.lower(), _codecs_of(out)
    parts: list[tuple[Part, str]] = []
    converted, lost = [], [*unstated, *contents.more]
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
    if ATTACHED in part.dispositions and (suffix in WEBM or (suffix in MP4 and part.codec not in COVERS)):
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


def remux_command(
    ffmpeg: FFmpeg, carrier: Path, start: Fraction, info: ClipInfo, carried: Carried, codec: str, out: Path
) -> list[str]:
    """The words of the FFmpeg call that makes `out` from a `carrier` of `codec` whose times begin at `start` seconds.

    Covers are attached from beside the carrier. Clocks are set here: FFmpeg would set each file's by the streams used.
    """
    suffix, contents = out.suffix.lower(), carried.contents
    words = ["-copyts", "-itsoffset", f"{float(info.begins - start):.6f}"]
    for option, value in (("-mastering_display", info.look.mastering), ("-content_light", info.look.light)):
        words += [option, value] if value and ffmpeg.knows(option) else []
    words += ["-i", url(carrier)]
    if suffix in BARE:
        words += ["-map_metadata", "-1", *(["-bsf:v", "dump_extra"] if codec in ("h264", "hevc") else [])]
    elif contents:
        words += ["-itsoffset", f"{float(-info.start):.6f}", "-i", url(contents.path), "-map_metadata", "1"]
        words += ["-map_chapters", "1" if carried.chapters else "-1"]
        words += [word for key in _OF_THE_MUXER for word in ("-metadata", f"{key}=")]
    words += ["-map", "0:v:0", "-c", "copy"]
    if contents and suffix not in BARE:
        covers = [part for part, _ in carried.parts if ATTACHED in part.dispositions and suffix == ".mkv"]
        beside = [(part, becomes) for part, becomes in carried.parts if part not in covers]
        for number, (part, becomes) in enumerate([(contents.video, ""), *beside]):
            words += ["-map", f"1:{part.index}"] if number else []
            words += [f"-c:{number}", becomes] if becomes else []
            words += _about(part, number, suffix)
        for number, part in enumerate(covers, 1 + len(beside)):  # Matroska's are attachments
            words += ["-attach", url(cover_beside(carrier, part)), *_about(part, number, suffix)]
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


def cover_beside(carrier: Path, part: Part) -> Path:
    """Where the picture of an attached part lies while it is attached anew."""
    return carrier.with_name(f"cover-{part.index}")


def _about(part: Part, number: int, suffix: str) -> list[str]:
    """Names, language and flags of one stream of the new file."""
    words = [f"-map_metadata:s:{number}", "-1", f"-disposition:{number}", "+".join(part.dispositions) or "0"]
    told = _kept(part.metadata)
    if ATTACHED in part.dispositions and suffix == ".mkv":
        name, mimetype = COVERS.get(part.codec, (f"cover.{part.codec}", f"image/{part.codec}"))
        told, words = {"filename": name, "mimetype": mimetype, **told}, []
    return [*words, *(word for key, value in told.items() for word in (f"-metadata:s:{number}", f"{key}={value}"))]


def _kept(metadata: Mapping[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in metadata.items() if not _STALE.fullmatch(key)}
    if "name" in kept and "title" not in kept:  # what MP4 calls it
        kept["title"] = kept.pop("name")
    return kept


def remux(carrier: Path, info: ClipInfo, carried: Carried, out: Path) -> None:
    """Write `out`: the video of `carrier` as it is, beside what is `carried`, the index first where there is one.

    Raises `HarnessError` with FFmpeg's words when it cannot.
    """
    with av.open(url(carrier)) as container:
        codec, start = container.streams.video[0].codec_context.name, Fraction(container.start_time or 0, av.time_base)
    if carried.contents and out.suffix.lower() == ".mkv":
        for part, _ in carried.parts:
            if ATTACHED in part.dispositions:
                with opened(carried.contents.path) as source:
                    cover_beside(carrier, part).write_bytes(bytes(next(source.demux(source.streams[part.index]))))
    ffmpeg = find_ffmpeg()
    ffmpeg.run(remux_command(ffmpeg, carrier, start, info, carried, codec, out))
