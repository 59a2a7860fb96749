"""What makes a score doubtful though nothing is wrong with the run: said beside the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import av
import numpy as np

from harness.media.frames import UNSPECIFIED
from harness.media.open import Clip
from harness.media.pairing import RATE_TOLERANCE, Pairing, Survey
from harness.media.sync import LOOKED_AT, blocks, shift_errors, turn_errors
from harness.quality.libvmaf import Log, vmaf_column

LOW_VMAF = 70.0  # above it, nothing is shifted or turned
SHIFT = 5
NEARER = 2.0  # by 3 dB
ALMOST = 0.9  # of a frame's time: Matroska's clock is in milliseconds
HDR = {"smpte2084": "PQ", "arib-std-b67": "HLG"}


def hints(pairing: Pairing, vmaf_models: Sequence[str], log: Log) -> list[str]:
    """One line for each doubt about a pair, in words."""
    one, two = pairing.reference.info, pairing.distorted.info
    found = []
    hdr = next((HDR[info.transfer] for info in (one, two) if info.transfer in HDR), None)
    if hdr and vmaf_models:
        found.append(f"{hdr} clips scored by an SDR model ({', '.join(vmaf_models)}): it ranks encodes at best")
    if one.pixel_shape != two.pixel_shape:
        shapes = f"{one.pixel_shape} against {two.pixel_shape}".replace("/", ":")
        found.append(f"pixel shapes differ, {shapes}: samples are compared as they are, players show other widths")
    if UNSPECIFIED not in (one.siting, two.siting) and one.siting != two.siting:
        found.append(f"chroma sits {one.siting} against {two.siting}: chroma metrics see a shift that luma's do not")
    found += [*_fields(pairing), *shown_apart(pairing), *_alpha(pairing)]
    low = any(log.column(vmaf_column(name)).mean() < LOW_VMAF for name in vmaf_models)
    return [*found, *_misplaced(pairing)] if low else found


def _fields(pairing: Pairing) -> list[str]:
    """Whether a side holds two fields a frame, which no measure here was made for."""
    if pairing.seen is None or not any(side.interlaced for side in pairing.seen):
        return []
    one, two = pairing.seen
    side = (
        "both sides are"
        if one.interlaced and two.interlaced
        else f"the {'reference' if one.interlaced else 'distorted'} is"
    )
    return [f"{side} interlaced: measures see combs as detail (deinterlace first: ffmpeg -i CLIP -vf bwdif=0 OUT.mkv)"]


def shown_apart(pairing: Pairing) -> list[str]:
    """Whether frames of one number are shown a frame apart: then one side dropped what the other kept."""
    if pairing.seen is None:
        return []
    firsts = pairing.first_reference, pairing.first_distorted
    one, two = (
        _clock(clip, side, first, pairing.count)
        for clip, side, first in zip((pairing.reference, pairing.distorted), pairing.seen, firsts, strict=True)
    )
    if one[-1] and abs(two[-1] / one[-1] - 1) < RATE_TOLERANCE:
        two = two * one[-1] / two[-1]  # rates that `pair` takes for one drift apart in an hour
    apart = np.abs(one - two)
    frame = float(1 / pairing.reference.info.frame_rate)
    if apart.max() < frame * ALMOST:
        return []
    late = int(np.argmax(apart >= frame * ALMOST))
    return [
        f"frames are paired by number, and from pair {late} on those of a pair are shown up to {apart.max():.3f} s "
        "apart: a side dropped or repeated frames (bring both to one constant rate first: "
        f"ffmpeg -i CLIP -vf fps={pairing.reference.info.frame_rate} OUT.mkv)"
    ]


def _clock(clip: Clip, seen: Survey, first: int, count: int) -> np.ndarray:
    """When the paired frames are shown, from the first of them on, in seconds."""
    if not seen.times:
        return np.arange(count) / float(clip.info.frame_rate)
    times = np.sort(seen.times)[first : first + count]  # packed B-frames carry the times of their packets
    return times - times[0]


def _alpha(pairing: Pairing) -> list[str]:
    stored = (pairing.reference.info.stored, pairing.distorted.info.stored)
    held = [name for name in stored if name and len(av.VideoFormat(name).components) in (2, 4)]
    return [f"an alpha plane ({held[0]}) is not compared, nor what lies behind it"] if held else []


def _misplaced(pairing: Pairing) -> list[str]:
    """Whether another shift or turn of the first pairs would be nearer by far."""
    count = min(pairing.count, SHIFT + LOOKED_AT)
    one = blocks(islice(pairing.reference, pairing.first_reference, None), count)
    two = blocks(islice(pairing.distorted, pairing.first_distorted, None), count)
    shifts, turns = shift_errors(one, two, min(SHIFT, count - 1)), turn_errors(one, two)
    shift, turn = min(shifts, key=shifts.__getitem__), min(turns, key=turns.__getitem__)
    found = []
    if shifts[shift] * NEARER < shifts[0]:
        offset = pairing.first_distorted - pairing.first_reference + shift
        found.append(f"frames look shifted by {shift} (--offset-frames {offset}, or --sync {max(5, abs(offset))})")
    if turns[turn] * NEARER < turns[""]:
        found.append(f"the distorted side looks {turn}")
    return found
