"""Proof that a map moved bits: a probe before the run, a comparison with the plain encode after it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from harness.errors import HarnessError, InconclusiveError
from harness.files import scratch_folder
from harness.media.ffmpeg import url
from harness.media.frames import ClipInfo, Frame
from harness.media.open import Clip, open_clip
from harness.roi.encode import encode
from harness.roi.encoders.base import Encoder, Settings
from harness.roi.frame_offsets import FrameOffsets
from harness.roi.offsets import Knob, block_areas, block_means
from harness.roi.quantisers import quantisers

PROBE_SIZE, PROBE_FRAMES, PROBE_QP = (192, 320), 25, 4.0  # a second at 25 frames per second
DECILES = 10
ENOUGH = 0.5  # of the asked change in QP: a stream that states so much followed, whatever PSNR says
FLAT = 1 / 255  # a map that spans less is one level of an 8-bit one


@dataclass(frozen=True)
class Probe:
    """Bytes for a second of video whose left half alone has content: plain, offsets favouring it, and disfavouring."""

    plain: int
    favoured: int
    disfavoured: int


@dataclass(frozen=True)
class Decile:
    """A tenth of the area by saliency (1: the most salient), over all frames: the offsets in QP that were asked for
    there, their mean, lowest and highest; luma PSNR of both encodes in dB, and the mean QP that either states for
    blocks, None where no decoder tells."""

    decile: int
    saliency: float
    offset_qp: float
    offset_lowest: float
    offset_highest: float
    psnr_plain: float
    psnr_roi: float
    qp_plain: float | None
    qp_roi: float | None


@dataclass(frozen=True)
class Proof:
    """ROI against plain: bytes of video, PSNR where bits were added and where they were taken, and by decile.

    The QP changes are of the blocks for which both streams state one, None where no decoder tells.
    """

    plain_bytes: int
    roi_bytes: int
    finer_psnr_change: float
    coarser_psnr_change: float
    deciles: tuple[Decile, ...]
    finer_qp_change: float | None = None
    coarser_qp_change: float | None = None


def probe(encoder: Encoder, settings: Settings) -> Probe:
    """Encode a second of synthetic video three times; `HarnessError` unless the map moves bits both ways.

    The content lies in the left half alone, so the stream's size is what that region costs.
    """
    sizes = []
    with scratch_folder() as folder:
        for name, favour in (("plain", 0), ("left", 1), ("right", -1)):
            sizes.append(encode_probe(encoder, settings, favour, Path(folder) / f"{name}{encoder.suffixes[0]}"))
    found = Probe(*sizes)
    if not found.favoured > found.plain > found.disfavoured:
        raise HarnessError(
            f"{encoder.name} does not follow a map: the probe took {found.plain} bytes plain, {found.favoured} with "
            f"its content favoured, {found.disfavoured} disfavoured (needs more, then fewer; {encoder.conditions})"
        )
    return found


def encode_probe(encoder: Encoder, settings: Settings, favour: int, out: Path) -> int:
    """Encode the synthetic second to `out` with its content favoured (1), disfavoured (-1) or plainly (0); bytes."""
    free = Settings(preset=settings.preset, options=settings.options)  # a bitrate target would hide the size
    info = ClipInfo(Path("synthetic probe"), PROBE_SIZE[1], PROBE_SIZE[0], "yuv420p", 8, "420", Fraction(25), None)
    shape = block_areas(*PROBE_SIZE, encoder.block).shape
    grid = favour * np.where(np.arange(shape[1]) < shape[1] // 2, -PROBE_QP, PROBE_QP) * np.ones(shape)
    asked = FrameOffsets(grid, grid, grid) if favour else None
    return encode(info, ((frame, asked) for frame in _probe_frames()), encoder, free, out).bytes


def _probe_frames() -> Iterator[Frame]:
    rng = np.random.default_rng(0)
    height, width = PROBE_SIZE
    coarse = rng.integers(40, 216, (height // 4, width // 8)).astype(np.uint8)
    texture = np.kron(coarse, np.ones((4, 4), np.uint8))
    grey = np.full((height // 2, width // 2), 128, np.uint8)
    for index in range(PROBE_FRAMES):
        luma = np.full((height, width), 128, np.uint8)
        noise = rng.integers(0, 24, (height, width // 2)).astype(np.uint8)
        luma[:, : width // 2] = np.roll(texture, index, axis=1) + noise
        yield Frame(index, index / 25, luma, grey, grey, "yuv420p", 8, "420")


def stream_digest(path: Path) -> str:
    """SHA-256 over the video packets: equal for bit-identical streams, whatever the container writes around them."""
    digest = hashlib.sha256()
    with av.open(url(path)) as container:
        for packet in container.demux(video=0):
            digest.update(bytes(packet))
    return digest.hexdigest()


def check_offsets(steered: Iterable[FrameOffsets], knob: Knob, encoder: Encoder, path: Path) -> None:
    """`InconclusiveError` unless some offset adds bits and some takes them: flat maps, or a knob below a step."""
    lowest = highest = spread = 0.0
    for asked in steered:
        lowest, highest = min(lowest, float(asked.offsets.min())), max(highest, float(asked.offsets.max()))
        spread = max(spread, float(np.ptp(asked.means)))
    if lowest < 0 < highest:
        return
    if spread < FLAT:
        raise InconclusiveError(f"the maps of {path} are flat: nothing to steer, so no ROI encode")
    raise InconclusiveError(
        f"{knob} on {path} gives offsets of {lowest:+g} to {highest:+g} QP in {encoder.name}'s steps of "
        f"{encoder.steps.step:g}: nothing to move bits between, so no ROI encode (allowed: a larger --strength)"
    )


def prove(
    source: Clip, plain: Path, roi: Path, steered: Iterable[FrameOffsets], block: int, sizes: tuple[int, int]
) -> Proof:
    """Decode both encodes beside the source; `sizes` are the bytes of plain and ROI video.

    `steered` passed `check_offsets`. Raises `HarnessError` when the encoder ignored the map: the streams are
    bit-identical, or neither quality nor the stated quantisers moved towards the blocks that got bits.
    """
    areas = block_areas(source.info.height, source.info.width, block)
    peak = float((1 << source.info.bit_depth) - 1)
    tenths = np.zeros((DECILES, 5))  # area, saliency, offset, squared errors of plain and roi
    quantised = np.zeros((DECILES, 2, 2))  # plain and roi: area where a QP is stated, QP
    lowest, highest = np.full(DECILES, np.inf), np.full(DECILES, -np.inf)
    sides = np.zeros((2, 3))  # finer and coarser: area and squared errors of plain and roi
    moved = np.zeros((2, 3))  # finer and coarser: area where both state a QP, its change, and what was asked for
    used = [quantisers(path, block) for path in (plain, roi)]
    untold = itertools.repeat(np.full(areas.shape, np.nan))
    clips = (source, open_clip(plain), open_clip(roi), steered)
    for count, (frame, first, second, asked) in enumerate(itertools.zip_longest(*clips)):
        if frame is None or first is None or second is None or asked is None:
            raise HarnessError(f"{plain.name} and {roi.name}: frame counts differ from the source's after {count}")
        errors = [block_means((frame.y.astype(np.float32) - other.y) ** 2, block) for other in (first, second)]
        columns = [np.ones_like(areas), asked.means, asked.offsets, *errors]
        order = np.argsort(-asked.means, axis=None, kind="stable")
        weights = areas.ravel()[order]
        index = np.minimum((np.cumsum(weights) - weights / 2) / weights.sum() * DECILES, DECILES - 1).astype(int)
        for place, column in enumerate(columns):
            tenths[:, place] += np.bincount(index, column.ravel()[order] * weights, DECILES)
        grids = [next(qps or untold) for qps in used]
        change = grids[1] - grids[0]
        for place, qp in enumerate(grid.ravel()[order] for grid in grids):
            stated = ~np.isnan(qp)
            quantised[:, place, 0] += np.bincount(index[stated], weights[stated], DECILES)
            quantised[:, place, 1] += np.bincount(index[stated], (qp * weights)[stated], DECILES)
        np.minimum.at(lowest, index, asked.offsets.ravel()[order])
        np.maximum.at(highest, index, asked.offsets.ravel()[order])
        for side, chosen in enumerate((asked.offsets < 0, asked.offsets > 0)):
            sides[side] += [(areas * column)[chosen].sum() for column in (columns[0], *errors)]
            both = chosen & ~np.isnan(change)
            moved[side] += [(areas * column)[both].sum() for column in (columns[0], change, asked.offsets)]
    if stream_digest(plain) == stream_digest(roi):
        raise HarnessError("the encoder ignored the map: the stream is bit-identical to the plain encode")
    finer, coarser = (_psnr(side[2], side[0], peak) - _psnr(side[1], side[0], peak) for side in sides)
    # of a clip that this very encoder made, the plain encode may be a copy that no other comes near in PSNR
    share = _followed(moved)
    if not (finer > coarser or (share or 0) >= ENOUGH):
        raise HarnessError(
            f"the encoder did not follow the map: PSNR moved {finer:+.2f} dB where bits were added and "
            f"{coarser:+.2f} dB where they were taken (needs the first to be higher"
            + (")" if share is None else f"; quantisers moved by {100 * share:.0f} % of what was asked)")
        )
    deciles = tuple(
        Decile(
            number + 1,
            saliency=row[1] / row[0],
            offset_qp=row[2] / row[0],
            offset_lowest=float(lowest[number]),
            offset_highest=float(highest[number]),
            psnr_plain=_psnr(row[3], row[0], peak),
            psnr_roi=_psnr(row[4], row[0], peak),
            qp_plain=_mean(*quantised[number, 0]),
            qp_roi=_mean(*quantised[number, 1]),
        )
        for number, row in enumerate(tenths)
        if row[0]
    )
    return Proof(*sizes, finer, coarser, deciles, *(_mean(*side[:2]) for side in moved))


def _followed(moved: np.ndarray) -> float | None:
    """How far apart stated quantisers moved, as a share of what was asked; None where too few are stated.

    Rows of `moved` are finer and coarser; columns area, change in QP and offset in QP, both times area.
    """
    if not moved[:, 0].all():
        return None
    changes, asked = moved[:, 1] / moved[:, 0], moved[:, 2] / moved[:, 0]
    return float((changes[1] - changes[0]) / (asked[1] - asked[0]))


def _psnr(squares: float, area: float, peak: float) -> float:
    """PSNR in dB of a sum of squared errors, capped at 100 where there is no error."""
    return float(min(100.0, 10 * np.log10(peak**2 * area / squares))) if squares else 100.0


def _mean(area: float, total: float) -> float | None:
    return float(total / area) if area else None
