"""Reference and distorted clip in step: checked before anything is scored, named when they are not."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import av
import ffmpeg

from harness.errors import InputError
from harness.media.ffmpeg import Stream, url
from harness.media.frames import UNSPECIFIED, ClipInfo, Frame, pix_fmt_name
from harness.media.open import Clip
from harness.media.scaled import Scaled, scaled
from harness.media.sync import find_offset
from harness.media.upright import Upright, upright
from harness.media.y4m import write_y4m

RATE_TOLERANCE = 5e-4  # half of what parts 24 from 23.976
BLOCK = 64  # pixels of the largest block that encoders fill
_SAME_TRANSFER = ("bt709", "smpte170m", "bt2020-10", "bt2020-12")  # one curve under four names
_SAME_PRIMARIES = ("smpte170m", "smpte240m", "bt470bg")  # BT.601's, of 525 and 625 lines
_TRANSPOSE = {90: "cclock", 270: "clock"}


@dataclass(frozen=True)
class Pairing:
    """Frame `first_reference + i` pairs with `first_distorted + i`, for `i` below `count`.

    `seen` is what decoding told of the reference and of the distorted side.
    """

    reference: Clip
    distorted: Clip
    first_reference: int
    first_distorted: int
    count: int
    depth: int | None = None
    seen: tuple[Survey, Survey] | None = None

    def distorted_frames(self) -> Iterator[Frame]:
        """The distorted side's frames; `InputError` when the stream ends before the count is full."""
        seen = 0
        for frame in islice(self.distorted, self.first_distorted, self.first_distorted + self.count):
            seen += 1
            yield frame
        if seen != self.count:
            raise InputError(
                f"{self.distorted.info.path}: {self.first_distorted + seen} frames decode, "
                f"its container states {self.first_distorted + self.count} or more"
            )


def pair(
    reference: Clip,
    distorted: Clip,
    *,
    shortest: bool = False,
    offset: int = 0,
    first: int = 0,
    last: int | None = None,
    scale: str | None = None,
    depth: int | None = None,
    sync: int = 0,
) -> Pairing:
    """Pair reference frame `i` with distorted frame `i + offset`, then keep pairs `first` up to, not with, `last`.

    Frames are those that decode, turned as a player shows them. `scale`, one of `media.scaled.KERNELS`, brings the
    distorted side to the reference's size; `depth` both sides to 8 or 10 bits, in FFmpeg; `sync` finds the offset among
    that many frames both ways and keeps the common part.
    Sizes, formats, ranges, matrices, rates and counts must agree; `shortest` allows counts to differ. A mismatch is an
    `InputError` that names both values.
    """
    seen = survey(reference), survey(distorted)
    if depth not in (None, 8, 10):
        raise InputError(f"depth {depth} (allowed: 8, 10)")
    if sync < 0 or (sync and offset):
        raise InputError(f"sync {sync} at an offset of {offset} (allowed: one of the two, sync from 1)")
    reference, distorted = (upright(clip, found.turn) for clip, found in zip((reference, distorted), seen, strict=True))
    if scale:
        distorted = scaled(distorted, reference.info.width, reference.info.height, scale)
    one, two = reference.info, distorted.info
    for info in (one, two):
        _check_samples(info)
    _same("size", f"{one.width}x{one.height}", f"{two.width}x{two.height}", _size_remedy(one, two))
    formats = [pix_fmt_name(depth or info.bit_depth, info.chroma) for info in (one, two)]
    deep = " (--depth 8 or --depth 10 brings both to one)" if one.chroma == two.chroma else ""
    _same("pixel format", formats[0], formats[1], deep)
    if (one.range == "pc") != (two.range == "pc"):  # no range stated is taken for tv, by players and FFmpeg alike
        _same("colour range", one.range, two.range, " (a y4m of full range says XCOLORRANGE=FULL)")
    if UNSPECIFIED not in (one.matrix, two.matrix):
        remedy = " (convert one first: ffmpeg -i CLIP -vf scale=out_color_matrix=NAME OUT)"
        first_matrix, second_matrix = (info.matrix.replace("smpte170m", "bt470bg") for info in (one, two))  # BT.601
        _same("colour matrix", first_matrix, second_matrix, remedy)
    _same_if_stated("transfer", one.transfer, two.transfer, _SAME_TRANSFER)
    _same_if_stated("primaries", one.primaries, two.primaries, _SAME_PRIMARIES)
    if not (one.variable_rate or two.variable_rate) and abs(one.frame_rate / two.frame_rate - 1) > RATE_TOLERANCE:
        drop = f" (bring both to one rate first: ffmpeg -i CLIP -vf fps={min(one.frame_rate, two.frame_rate)} OUT.mkv)"
        _same("frame rate", _rate(reference), _rate(distorted), drop)
    if sync:
        offset, shortest = find_offset(reference, distorted, sync), True
    skip_reference, skip_distorted = max(0, -offset), max(0, offset)
    left, right = seen[0].frames - skip_reference, seen[1].frames - skip_distorted
    if left != right and not shortest:
        found = f"{left + skip_reference} against {right + skip_distorted} frames"
        where = f" at an offset of {offset}" if offset else ""
        raise InputError(f"reference and distorted do not match: {found}{where} (--shortest scores the common part)")
    common = min(left, right)
    end = common if last is None else last
    if not 0 <= first < end <= common:
        raise InputError(
            f"frames {first}:{'' if last is None else last} of {common} pairs (allowed: 0:1 to 0:{common})"
        )
    return Pairing(reference, distorted, skip_reference + first, skip_distorted + first, end - first, depth, seen)


def _size_remedy(reference: ClipInfo, distorted: ClipInfo) -> str:
    """What to do about two sizes: an encoder that fills its blocks leaves some rows or columns too many."""
    more = distorted.width - reference.width, distorted.height - reference.height
    scaling = "--scale bicubic scales the distorted"
    if more != (0, 0) and all(0 <= extra < BLOCK for extra in more):
        cut = f"crop={reference.width}:{reference.height}:0:0"
        return (
            f" (rows or columns that an encoder added: ffmpeg -i DISTORTED -vf {cut} -c:v ffv1 OUT.mkv; or {scaling})"
        )
    return f" ({scaling})"


def _same_if_stated(what: str, reference: str, distorted: str, alike: Sequence[str]) -> None:
    values = ["as one" if value in alike else value for value in (reference, distorted)]
    if UNSPECIFIED not in values and values[0] != values[1]:
        _same(f"colour {what}", reference, distorted, " (the samples mean other colours: convert one, or mend its tag)")


def _check_samples(info: ClipInfo) -> None:
    """`InputError` for samples that no planar YUV format holds as they are."""
    if not info.stored:
        return
    layout = av.VideoFormat(info.stored, 64, 64)
    parts = layout.components
    shape = (parts[0].width // parts[1].width, parts[0].height // parts[1].height) if len(parts) > 2 else (1, 1)
    if layout.is_rgb or layout.has_palette or shape not in ((1, 1), (2, 1), (2, 2)):
        kind = "RGB" if layout.is_rgb or layout.has_palette else "YUV of another chroma layout"
        remedy = f"ffmpeg -i {info.path.name} -vf scale=out_color_matrix=bt709:out_range=tv,format=yuv444p"
        raise InputError(
            f"clip {info.path} holds {kind} ({info.stored}); compared is planar YUV (allowed: grey, 4:2:0, 4:2:2 and "
            f"4:4:4; convert both clips alike: {remedy} -colorspace bt709 -c:v ffv1 OUT.mkv)"
        )


def _same(what: str, reference: str, distorted: str, remedy: str = "") -> None:
    if reference != distorted:
        raise InputError(f"reference and distorted do not match: {what} {reference} against {distorted}{remedy}")


def _rate(clip: Clip) -> str:
    return f"{float(clip.info.frame_rate):.6g} fps"


@dataclass(frozen=True)
class Survey:
    """What only decoding tells of a clip: how many frames it shows, and how its display matrix turns them.

    `interlaced` where a frame holds two fields; `times` of the frames in seconds, none where they are evenly spaced.
    """

    frames: int
    turn: int | None = 0
    interlaced: bool = False
    times: Sequence[float] = ()


def survey(clip: Clip) -> Survey:
    """Decode a clip once to count its frames; of what states them exactly (y4m, raw video, folders) only the first is.

    Containers count packets, or fragments' first ones: edit lists, open groups after a cut and frames that were dropped
    show fewer. Raises `InputError` for a stream that is damaged, as iterating does.
    """
    if clip.info.counted and clip.info.frames is not None:
        return Survey(clip.info.frames, interlaced=any(frame.interlaced for frame in islice(clip, 1)))
    turn: int | None = 0
    interlaced, times = False, array("d")
    for frame in clip:
        turn = turn if times else frame.turn
        interlaced |= frame.interlaced
        times.append(frame.time)
    return Survey(len(times), turn, interlaced, times)


@dataclass(frozen=True)
class Input:
    """A clip as FFmpeg opens it: a path, its options, the stream that is shown, and degrees to turn it by.

    `crop` is the width and height that are shown, and how many columns and rows are cut off before them. `scale` is a
    width, a height and one of `media.scaled.KERNELS`; `pix_fmt` the format that `depth` asks for; `planar` the one that
    serves samples stored otherwise (interleaved, or with alpha).
    """

    path: Path
    options: tuple[tuple[str, str], ...] = ()
    stream: int = 0
    turn: int = 0
    crop: tuple[int, int, int, int] | None = None
    scale: tuple[int, int, str] | None = None
    planar: str | None = None
    pix_fmt: str | None = None

    def video(self) -> Stream:
        """Its video stream for ffmpeg-python: cropped, turned, scaled and converted as said and no otherwise."""
        options: dict[str, Any] = dict(self.options)
        if "video_size" in options:  # ffmpeg-python wants a pair
            options["video_size"] = options["video_size"].split("x")
        stored = ffmpeg.input(url(self.path), noautorotate=None, **options)[str(self.stream)]
        if self.crop:
            width, height, left, top = self.crop
            # FFmpeg from 7.1 on has cropped already
            places = (f"if(eq(iw,{width}),0,{left})", f"if(eq(ih,{height}),0,{top})")
            stored = stored.filter("crop", w=width, h=height, x=places[0], y=places[1])
        if self.planar:
            stored = stored.filter("format", pix_fmts=self.planar)
        if self.turn == 180:
            stored = stored.filter("hflip").filter("vflip")
        elif self.turn:
            stored = stored.filter("transpose", dir=_TRANSPOSE[self.turn])
        if self.scale:
            width, height, kernel = self.scale
            stored = stored.filter("scale", w=width, h=height, flags=kernel)
        if self.pix_fmt:
            # as limited range, of which more bits are the same bits and zeros; without dither
            stored = stored.filter("setparams", range="tv").filter("scale", sws_dither="none")
            stored = stored.filter("format", pix_fmts=self.pix_fmt)
        return stored


def as_input(clip: Clip, scratch: Path | None) -> Input:
    """The clip as an FFmpeg input; a folder of pictures becomes a y4m in `scratch`, with the samples we iterate.

    Without `scratch` that file is named, and not written.
    """
    if isinstance(clip, Scaled) and clip.stored:
        scale = (clip.info.width, clip.info.height, clip.kernel)
        return replace(as_input(clip.stored, scratch), scale=scale)
    if isinstance(clip, Upright) and clip.stored:
        return replace(as_input(clip.stored, scratch), turn=clip.turn)
    if clip.info.path.is_dir():
        path = (scratch or Path()) / f"{clip.info.path.name}.y4m"
        if scratch and not path.exists():
            info = clip.info
            write_y4m(path, clip, info.frame_rate, pixel_shape=info.pixel_shape, siting=info.siting)
        return Input(path)
    if clip.demuxer:
        return Input(clip.info.path, (("f", clip.demuxer), *clip.options))
    info = clip.info
    crop = (info.width, info.height, info.crop.left, info.crop.top) if info.crop else None
    planar = None if info.stored.replace("yuvj", "yuv") in ("", info.pix_fmt) else info.pix_fmt
    return Input(info.path, stream=info.stream, crop=crop, planar=planar)
