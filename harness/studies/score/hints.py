"""What makes a score doubtful though nothing is wrong with the run: said beside the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from harness.media.frames import UNSPECIFIED
from harness.media.pairing import Pairing
from harness.media.sync import LOOKED_AT, blocks, shift_errors, turn_errors
from harness.quality.libvmaf import Log, vmaf_column

LOW_VMAF = 70.0  # above it, nothing is shifted or turned
SHIFT = 5
NEARER = 2.0  # by 3 dB
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
    low = any(log.column(vmaf_column(name)).mean() < LOW_VMAF for name in vmaf_models)
    return [*found, *_misplaced(pairing)] if low else found


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
