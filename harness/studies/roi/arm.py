"""One arm of a sweep on one clip: encode at every CRF, and measure each encode against the clip and its masks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from corpora.loader import ClipPair, images_in
from harness.errors import InputError
from harness.files import scratch_folder
from harness.jobs import Job
from harness.media.ffmpeg import find_ffmpeg
from harness.media.frames import ClipInfo, Frame
from harness.media.open import open_clip
from harness.media.pairing import Input
from harness.media.pictures import read_mask
from harness.media.y4m import write_y4m
from harness.models.model_file import ModelFile
from harness.models.sources import CENTRE_PRIOR, CentrePrior, Mapper, MapSource, ModelSource
from harness.models.working_size import WorkingSize
from harness.quality.libvmaf import PairedInput, measure
from harness.quality.weighted import WeightedSums, region_of, weighted_errors, weighted_sums
from harness.roi.encode import check_frame, encode
from harness.roi.encoders import Encoder, Settings, find_encoder
from harness.roi.frame_offsets import FrameOffsets, OffsetsOnDisk, offsets_of_frames
from harness.roi.laws import MAP, Law
from harness.roi.offsets import Strength
from harness.roi.proof import stream_digest
from harness.saliency.colour import true_rgb
from harness.studies.roi.plan import ORACLE, SHUFFLED

MODEL = "model"  # an arm's name in jobs, whatever tables call the model: that decides no number
SURE_QP = 2.0  # from here on an offset must change the stream: x264 skips a single step from block to block


def measure_arm(
    name: str,
    frames: str,
    masks: str,
    encoder: str,
    crfs: list[float],
    preset: str | None,
    working: str,
    limit: int | None,
    arm: str,
    strength: float | None,
    model: str | None = None,
    sha256: str | None = None,
    other: str | None = None,
) -> list[dict[str, Any]]:
    """A row per CRF: bytes, kbit/s, every quality of `METRICS`, and whether some offset had to change the stream.

    The clip is decoded once, into a raw file; each pass reads from there, one frame in memory at a time.
    """
    with scratch_folder() as folder:
        scratch = Path(folder)
        clip = FirstFrames(Path(frames), limit, scratch / "reference.y4m")
        truth = Masks.of(Path(masks), clip.info, limit)
        source = None if strength is None else source_of(arm, truth, model, sha256, other)
        ladder = Ladder(name, clip, truth, find_encoder(encoder), crfs, preset, WorkingSize.parse(working), scratch)
        return ladder.encode(arm, source, strength)


def places_of(clip: ClipPair) -> dict[str, str]:
    """Where a job finds a clip, beside the digest of what it is."""
    return {"frames": str(clip.frames.absolute()), "masks": str(clip.masks.absolute())}


def weights_of(source: ModelSource) -> tuple[dict[str, str], dict[str, str]]:
    """Which model steers, for a job's inputs, and where it finds it."""
    return {"model": source.digest}, {"model": str(source.path.absolute()), "sha256": source.digest}


def labelled(
    work: Sequence[tuple[Job, str]], found: Mapping[str, Sequence[list[dict[str, Any]]]]
) -> Iterator[dict[str, Any]]:
    """The rows that jobs gave, by clip in the order of `work`, under the names that tables have for their arms."""
    labels: dict[str, list[str]] = {}
    for job, label in work:
        labels.setdefault(job.arguments["name"], []).append(label)
    for clip, results in found.items():
        for label, rows in zip(labels[clip], results, strict=True):
            yield from (row | {"arm": label} for row in rows)


@dataclass(frozen=True)
class Ladder:
    """A clip to be encoded at several CRFs, steered or not.

    Raises `InputError` for a clip that has not a mask for every frame.
    """

    name: str
    clip: FirstFrames
    truth: Masks
    encoder: Encoder
    crfs: Sequence[float]
    preset: str | None
    working: WorkingSize
    scratch: Path
    law: Law = MAP
    complete: bool = True

    def __post_init__(self) -> None:
        if len(self.truth.paths) != self.clip.count:
            found = f"{len(self.truth.paths)} masks for {self.clip.count} frames"
            raise InputError(f"{self.truth.folder}: {found} (must be equal)")

    def encode(self, arm: str, source: MapSource | None, strength: float | None) -> list[dict[str, Any]]:
        """A row per CRF, steered by the maps of `source` where there is one."""
        clip, rows = self.clip, []
        with OffsetsOnDisk(self.scratch / "offsets") as kept:
            if source is not None and strength is not None:
                mapper, knob = source.open(threads=1), Strength(strength)
                for _ in kept.through(offsets_of_frames(clip, mapper, self.working, knob, self.encoder, law=self.law)):
                    pass
            steered = any(float(np.abs(asked.offsets).max()) >= SURE_QP for asked in kept.read())
            for crf in self.crfs:
                out = self.scratch / f"{crf:g}.mkv"
                asked: Iterable[FrameOffsets | None] = itertools.repeat(None) if source is None else kept.read()
                pairs = zip(clip, asked, strict=source is not None)
                encoded = encode(clip.info, pairs, self.encoder, Settings(crf=crf, preset=self.preset), out)
                row: dict[str, Any] = {"clip": self.name, "encoder": self.encoder.name, "arm": arm}
                row |= {"strength": strength, "crf": crf, "frames": clip.count, "bytes": encoded.bytes}
                row |= {"stream_sha256": stream_digest(out), "steered": steered}
                row["kbps"] = encoded.bytes * 8 / 1000 / float(clip.count / clip.info.frame_rate)
                region = self.scratch / "region.y4m"
                rows.append(row | (_qualities(clip, self.truth, out, region) if self.complete else self._errors(out)))
                out.unlink()
        return rows

    def _errors(self, out: Path) -> dict[str, float | None]:
        """What costs and gains are in, without SSIM and VMAF of the region, which take half of a row's time."""
        everywhere, inside = WeightedSums(), WeightedSums()
        for frame, decoded, mask in zip(self.clip, open_clip(out), self.truth, strict=True):
            sums = weighted_errors(frame, decoded, [np.ones(mask.shape, np.float32), mask.astype(np.float32)])
            everywhere, inside = everywhere + sums[0], inside + sums[1]
        whole = _libvmaf(self.clip, out, ("xpsnr",))
        errors = {"psnr_y@mask": inside.psnr, "psnr_y": everywhere.psnr}
        return errors | {"vmaf": whole["vmaf"], "xpsnr_y": whole["xpsnr_y"]}


class FirstFrames:
    """A clip up to a limit, decoded once: every iteration reads the raw file, and gives the frames as the clip had
    them."""

    def __init__(self, path: Path, limit: int | None, raw: Path) -> None:
        clip = open_clip(path)
        self.info, self.raw = clip.info, raw
        self.times: list[float] = []
        frames = self._timed(itertools.islice(clip, limit))
        self.count = write_y4m(
            raw, frames, clip.info.frame_rate, pixel_shape=clip.info.pixel_shape, siting=clip.info.siting
        )

    def _timed(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            check_frame(frame, self.info.path)  # a y4m would not say so
            self.times.append(frame.time)
            yield frame

    def __iter__(self) -> Iterator[Frame]:
        for frame, time in zip(open_clip(self.raw), self.times, strict=True):
            yield replace(frame, time=time, matrix=self.info.matrix, range=self.info.range)


@dataclass(frozen=True)
class Masks:
    """The masks of a clip's frames, read one at a time; as a source of maps, they are the oracle's."""

    folder: Path
    paths: tuple[Path, ...]
    size: tuple[int, int]
    name: str = ORACLE
    digest: str = ""
    sees: bool = False

    @classmethod
    def of(cls, folder: Path, info: ClipInfo, limit: int | None) -> Masks:
        """Those of the first `limit` frames of a clip."""
        return cls(folder, tuple(images_in(folder)[:limit]), (info.height, info.width))

    def __iter__(self) -> Iterator[np.ndarray]:
        return (read_mask(path, size=self.size) for path in self.paths)

    def open(self, threads: int) -> Callable[[str, np.ndarray, WorkingSize], np.ndarray]:
        return lambda name, rgb, working: read_mask(self.paths[int(name)], size=self.size).astype(np.float32)


@dataclass(frozen=True)
class KeptMaps:
    """A source of maps of one clip that makes each once and keeps it in a file of `folder`, by its frame's name."""

    source: MapSource
    folder: Path

    @property
    def name(self) -> str:
        """The source's own."""
        return self.source.name

    @property
    def digest(self) -> str:
        """The source's own."""
        return self.source.digest

    @property
    def sees(self) -> bool:
        """The source's own."""
        return self.source.sees

    def open(self, threads: int) -> Mapper:
        """See `MapSource`; always the same working size is asked for."""
        mapper = self.source.open(threads)
        self.folder.mkdir(exist_ok=True)

        def kept(name: str, rgb: np.ndarray, working: WorkingSize) -> np.ndarray:
            place = self.folder / f"{name}.npy"
            if not place.exists():
                np.save(place, mapper(name, rgb, working))
            found: np.ndarray = np.load(place)
            return found

        return kept


@dataclass(frozen=True)
class _Elsewhere:
    """A model's maps of another clip: right in every statistic, wrong in every place."""

    source: ModelSource
    clip: Path
    name: str = SHUFFLED
    digest: str = ""
    sees: bool = False

    def open(self, threads: int) -> Callable[[str, np.ndarray, WorkingSize], np.ndarray]:
        mapper = self.source.open(threads)
        pictures = itertools.chain.from_iterable(iter(open_clip(self.clip)) for _ in itertools.count())

        def elsewhere(name: str, rgb: np.ndarray, working: WorkingSize) -> np.ndarray:
            return mapper(name, true_rgb(next(pictures), (rgb.shape[0], rgb.shape[1])), working)

        return elsewhere


def source_of(arm: str, truth: Masks, model: str | None, sha256: str | None, other: str | None) -> MapSource:
    if arm == ORACLE:
        return truth
    if arm == CENTRE_PRIOR:
        return CentrePrior()
    assert model is not None and sha256 is not None
    source = ModelSource(arm, ModelFile.known(arm, model, sha256))
    return _Elsewhere(source, Path(other)) if arm == SHUFFLED and other else source


def _qualities(clip: FirstFrames, truth: Masks, out: Path, region: Path) -> dict[str, float | None]:
    everywhere, inside = WeightedSums(), WeightedSums()

    def blended() -> Iterator[Frame]:
        nonlocal everywhere, inside
        for frame, decoded, mask in zip(clip, open_clip(out), truth, strict=True):
            sums = weighted_sums(frame, decoded, [np.ones(mask.shape, np.float32), mask.astype(np.float32)])
            everywhere, inside = everywhere + sums[0], inside + sums[1]
            yield region_of(frame, decoded, mask)

    write_y4m(region, blended(), clip.info.frame_rate, pixel_shape=clip.info.pixel_shape, siting=clip.info.siting)
    whole = _libvmaf(clip, out, ("xpsnr",))
    return {
        "psnr_y@mask": inside.psnr,
        "ssim_y@mask": inside.ssim,
        "vmaf@mask": _libvmaf(clip, region, ())["vmaf"],
        "psnr_y": everywhere.psnr,
        "ssim_y": everywhere.ssim,
        "vmaf": whole["vmaf"],
        "xpsnr_y": whole["xpsnr_y"],
    }


def _libvmaf(clip: FirstFrames, distorted: Path, metrics: Sequence[str]) -> dict[str, float]:
    paired = PairedInput(Input(clip.raw), Input(distorted), 0, 0, clip.count, clip.info.frame_rate)
    log = measure(find_ffmpeg(), paired, metrics=metrics, threads=1)
    return {metric: float(log.column(metric).mean()) for metric in log.metrics}
