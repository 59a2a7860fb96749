"""What makes a score doubtful though nothing is wrong with the run: said beside the numbers."""

from __future__ import annotations

from collections.abc import Sequence

from harness.media.frames import UNSPECIFIED
from harness.media.pairing import Pairing

HDR = {"smpte2084": "PQ", "arib-std-b67": "HLG"}


def hints(pairing: Pairing, vmaf_models: Sequence[str]) -> list[str]:
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
    return found
