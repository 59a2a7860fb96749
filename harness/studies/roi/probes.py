"""Short encodes of samples of a clip, each measured: what probes of strengths and CRFs are made of."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.errors import InconclusiveError
from harness.media.ffmpeg import find_ffmpeg
from harness.media.frames import Frame
from harness.media.open import Clip
from harness.media.pairing import Input
from harness.models.sources import Mapper
from harness.models.working_size import WorkingSize
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

    def of(self, shot: range | None = None) -> Probes:
        """Those of a shot, or of the whole clip."""
        raw = self.scratch / f"samples{len(self.made)}.y4m"
        samples = Samples.of(self.clip, raw, lambda done: self.progress("sample", done), shot)
        before = sum(probes.encodes * probes.samples.count for probes in self.made)
        heard = lambda done: self.progress(PROBE, before + done)  # noqa: E731
        self.made.append(Probes(samples, self.able, self.settings, self.scratch, heard))
        return self.made[-1]


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
        samples, before = self.samples, self.encodes * self.samples.count
        settings = replace(self.settings, crf=crf)
        made = encode(samples.info, frames, self.able, settings, self.out, lambda done: self.heard(before + done))
        paired = PairedInput(Input(samples.raw), Input(self.out), 0, 0, samples.count, samples.info.frame_rate)
        threads = min(MOST_THREADS, len(os.sched_getaffinity(0)))
        log = measure(find_ffmpeg(), paired, metrics=(), threads=threads)
        self.out.unlink()
        self.encodes += 1
        return Probed(made.bytes, float(log.column("vmaf").mean()))


def remembering(mapper: Mapper, folder: Path) -> Mapper:
    """The same maps, each made once."""

    def remembered(name: str, rgb: np.ndarray, working: WorkingSize) -> np.ndarray:
        path = folder / f"{name}.npy"
        if not path.exists():
            np.save(path, mapper(name, rgb, working))
        kept: np.ndarray = np.load(path)
        return kept

    return remembered
