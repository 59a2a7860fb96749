"""Short encodes of samples of a clip, each measured: what probes of strengths and CRFs are made of."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import InconclusiveError
from harness.media.ffmpeg import find_ffmpeg
from harness.media.frames import Frame
from harness.media.open import Clip
from harness.media.pairing import Input
from harness.quality.libvmaf import PairedInput, measure
from harness.roi.encode import encode
from harness.roi.encoders import Encoder, Settings
from harness.roi.frame_offsets import FrameOffsets
from harness.roi.remux import carrier_of
from harness.studies.roi.samples import Samples

BESIDE = 3.0  # how far from the encode's CRF that of the plain encode is that tells what VMAF costs
LEAST_APART = 0.5  # VMAF of these two: near its end it does not tell encodes apart, and a cost is chance
MOST_THREADS = 8
PROBE = "probe"  # the stage in which nobody knows how many frames there will be


@dataclass(frozen=True)
class Probed:
    """An encode of the samples: bytes of video, and whole-frame VMAF."""

    bytes: int
    vmaf: float


def cost_of(steered: Probed, here: Probed, beside: Probed) -> float:
    """Per cent of bytes beyond those of a plain encode of the same VMAF.

    Log bytes over VMAF are taken for straight through two plain encodes, `here` and `beside`; `InconclusiveError` where
    the one with more bytes has not `LEAST_APART` more VMAF.
    """
    bits, quality = math.log(beside.bytes / here.bytes), beside.vmaf - here.vmaf
    if math.copysign(quality, bits * quality) < LEAST_APART:
        said = " and ".join(f"{one.vmaf:.2f} at {one.bytes} bytes" for one in (here, beside))
        raise InconclusiveError(
            f"VMAF hardly tells plain encodes apart here: {said} (needs {LEAST_APART:g} more for more bytes; "
            "allowed: --strength QP, or a coarser --crf)"
        )
    return 100 * math.expm1(math.log(steered.bytes / here.bytes) - bits / quality * (steered.vmaf - here.vmaf))


class Prober:
    """Makes probes of a clip or of its shots."""

    def __init__(
        self, clip: Clip, able: Encoder, settings: Settings, scratch: Path, progress: Callable[[str, int], None]
    ) -> None:
        self.clip, self.able, self.settings, self.scratch, self.progress = clip, able, settings, scratch, progress
        self.made: list[Probes] = []

    def of(self) -> Probes:
        """Those of the whole clip."""
        return self._keep(Samples.of(self.clip, self.scratch / "samples.y4m", self._sampled))

    def of_shots(self, shots: Sequence[range]) -> list[Probes]:
        """Those of each of some shots, which are decoded by one pass."""
        return [self._keep(samples) for samples in Samples.of_shots(self.clip, self.scratch, shots, self._sampled)]

    def _keep(self, samples: Samples) -> Probes:
        self.made.append(Probes(samples, self.able, self.settings, self.scratch, self._probed))
        return self.made[-1]

    def _sampled(self, done: int) -> None:
        self.progress("sample", done)

    def _probed(self, done: int) -> None:
        self.progress(PROBE, done + sum(probes.encodes * probes.samples.count for probes in self.made))


class Probes:
    """Encodes of samples, each measured; plain ones are made once for a CRF."""

    def __init__(
        self, samples: Samples, able: Encoder, settings: Settings, scratch: Path, heard: Callable[[int], None]
    ) -> None:
        self.samples, self.able, self.settings, self.heard = samples, able, settings, heard
        self.out = scratch / f"probe{carrier_of(able.suffixes)}"
        self.encodes = 0
        self._plain: dict[float, Probed] = {}

    def plain(self, crf: float) -> Probed:
        """The samples at a CRF, steered by nothing."""
        if crf not in self._plain:
            self._plain[crf] = self._made(crf, ((frame, None) for frame in self.samples))
        return self._plain[crf]

    def probed(self, crf: float) -> bool:
        """Whether they were plainly encoded at a CRF."""
        return crf in self._plain

    def steered(self, crf: float, frames: Iterable[tuple[Frame, FrameOffsets]]) -> Probed:
        """The samples at a CRF with the offsets that their frames have."""
        return self._made(crf, frames)

    def cost(self, crf: float, steered: Probed) -> float:
        """What an encode at a CRF costs, beside the plain one and its neighbour on the same side."""
        low, high = self.able.crfs
        here = self.plain(crf)
        finer = crf - BESIDE >= low and (steered.vmaf >= here.vmaf or crf + BESIDE > high)
        return cost_of(steered, here, self.plain(crf - BESIDE if finer else crf + BESIDE))

    def _made(self, crf: float, frames: Iterable[tuple[Frame, FrameOffsets | None]]) -> Probed:
        samples = self.samples
        settings = replace(self.settings, crf=crf)
        made = encode(samples.info, frames, self.able, settings, self.out, self.heard)
        paired = PairedInput(Input(samples.raw), Input(self.out), 0, 0, samples.count, samples.info.frame_rate)
        threads = min(MOST_THREADS, len(os.sched_getaffinity(0)))
        log = measure(find_ffmpeg(), paired, metrics=(), threads=threads)
        self.out.unlink()
        self.encodes += 1
        return Probed(made.bytes, float(log.column("vmaf").mean()))
