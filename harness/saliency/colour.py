"""YUV to RGB twice: as the `mobilesal` extractor does it, defect included, and as the stream means it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.errors import InputError
from harness.media.frames import Frame
from harness.media.pictures import resized
from harness.metrics.loops import sooner
from harness.models.session import STEPS, normalise, pad, room_for
from harness.saliency import loops

# Luma weights (Kr, Kb) of ITU-R BT.709, BT.601 and BT.2020; FCC and SMPTE 240M by H.273.
_LUMA_WEIGHTS = {
    "bt709": (0.2126, 0.0722),
    "bt470bg": (0.299, 0.114),
    "smpte170m": (0.299, 0.114),
    "fcc": (0.30, 0.11),
    "smpte240m": (0.212, 0.087),
    "bt2020nc": (0.2627, 0.0593),
    "bt2020c": (0.2627, 0.0593),
}


_ROWS = 32  # of a frame at a time, an even number: what belongs to them stays in a core's cache


def contract_rgb(frame: Frame) -> np.ndarray:
    """Steps 1 and 2 of the extractor: 8-bit YUV to uint8 RGB `[H, W, 3]`, bit for bit.

    Nearest chroma, float32 arithmetic in the order of `mobilesal.c`, limited range and its own coefficients whatever
    the stream says. Raises `InputError` for 4:0:0 and for more than 8 bits.
    """
    yuv = _read(frame)
    rgb = np.empty((frame.height, frame.width, 3), np.uint8)
    levels = np.empty((3, _ROWS, frame.width), np.float32)
    for start in range(0, frame.height, _ROWS):
        into = rgb[start : start + _ROWS]
        _levels(*yuv, *_SHARING[frame.chroma], start, levels[:, : len(into)])
        into[...] = levels[:, : len(into)].transpose(1, 2, 0)
    return rgb


def contract_planes(frame: Frame, into: np.ndarray | None = None) -> np.ndarray:
    """Steps 1 to 4 of the extractor: what a graph reads of a frame, `room_for` it, normalised and padded.

    The same to the bit as `planes_of(contract_rgb(frame))`, without the picture in between. `into` is used again if it
    is of the right size. Raises `InputError` as `contract_rgb` does.
    """
    yuv = _read(frame)
    planes = room_for(frame.height, frame.width)
    if into is not None and into.shape == planes.shape:
        planes = into
    _planes(*yuv, *_SHARING[frame.chroma], STEPS, planes)
    pad(planes, frame.height, frame.width)
    return planes


def _read(frame: Frame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if frame.u is None or frame.v is None:
        raise InputError(f"mobilesal reads no {frame.pix_fmt}: chroma is 4:0:0 (allowed: 8-bit 4:2:0, 4:2:2, 4:4:4)")
    if frame.bit_depth != 8:
        raise InputError(
            f"mobilesal reads no {frame.pix_fmt}: {frame.bit_depth} bits (allowed: 8-bit 4:2:0, 4:2:2, 4:4:4)"
        )
    return frame.y, frame.u, frame.v


_SHARING = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}  # pixels across and down that share a sample of chroma
_WORTH = 50 * 1920 * 1080  # luma samples of a process, from which on compiling saves more time than it takes


@sooner(loops.planes, _WORTH, lambda y, *_: int(y.size))
def _planes(
    y: np.ndarray, u: np.ndarray, v: np.ndarray, across: int, down: int, steps: np.ndarray, planes: np.ndarray
) -> None:
    height, width = y.shape
    for start in range(0, height, _ROWS):
        band = planes[:, start : min(start + _ROWS, height), :width]
        _levels(y, u, v, across, down, start, band)
        normalise(band, steps)


def _levels(y: np.ndarray, u: np.ndarray, v: np.ndarray, across: int, down: int, start: int, rgb: np.ndarray) -> None:
    """Rows of a frame from `start` on as levels 0 to 255, whole numbers, in float32 `[3, rows, W]`."""
    rows = rgb.shape[1]
    luma = np.subtract(y[start : start + rows], loops.LUMA_ZERO, dtype=np.float32)
    luma *= loops.LUMA_SCALE
    u, v = (_chroma(plane, across, y.shape[1], start // down, -(-(start + rows) // down)) for plane in (u, v))
    for lines in (slice(None),) if down == 1 else (slice(0, None, 2), slice(1, None, 2)):
        part = luma[lines]
        count = len(part)
        red, green, blue = (plane[lines] for plane in rgb)
        np.add(part, loops.RED_V * v[:count], out=red)
        np.subtract(part, loops.GREEN_U * u[:count], out=green)
        np.subtract(green, loops.GREEN_V * v[:count], out=green)
        np.add(part, loops.BLUE_U * u[:count], out=blue)
    np.clip(rgb, loops.NONE, loops.ONE, out=rgb)
    rgb *= loops.TOP
    rgb += loops.HALF
    np.floor(rgb, out=rgb)


def _chroma(plane: np.ndarray, across: int, width: int, first: int, last: int) -> np.ndarray:
    """Lines of chroma from `first` to before `last`, as wide as luma: float32 around 0."""
    part = plane[first:last]
    if across == 2:  # a byte twice is that byte times 257
        part = (part * np.uint16(257)).view(np.uint8)[:, :width]
    wide = np.subtract(part, loops.CHROMA_ZERO, dtype=np.float32)
    wide *= loops.CHROMA_SCALE
    return wide


def true_rgb(frame: Frame, size: tuple[int, int] | None = None) -> np.ndarray:
    """YUV to uint8 RGB `[H, W, 3]` by the stream's own matrix and range, any bit depth, nearest chroma.

    An unspecified matrix is BT.709 from 720 lines up, else BT.601; an unspecified range is limited: what players do.
    With a `size` (height, width) the planes are scaled to it first (bilinear), which costs far less than converting
    the whole picture and differs by rounding and by where chroma sits.
    """
    guess = "bt709" if frame.height >= 720 else "smpte170m"
    if size is not None and size != (frame.height, frame.width):
        u, v = (None if plane is None else _scaled(plane, size) for plane in (frame.u, frame.v))
        frame = replace(frame, y=_scaled(frame.y, size), u=u, v=v, chroma="444")
    depth_scale = np.float32(1 / (1 << (frame.bit_depth - 8)))
    full = frame.range == "pc"
    luma_zero, luma_span, chroma_span = (0.0, 255.0, 255.0) if full else (16.0, 219.0, 224.0)
    if full:  # the top code is 2**n - 1, no shifted 255
        depth_scale = np.float32(255 / ((1 << frame.bit_depth) - 1))
    y = (frame.y * depth_scale - np.float32(luma_zero)) * np.float32(1 / luma_span)
    if frame.u is None or frame.v is None:
        return np.repeat(_to_bytes(y)[..., None], 3, axis=2)
    middle = np.float32(1 << (frame.bit_depth - 1))
    u = (frame.u - middle) * np.float32(depth_scale / chroma_span)
    v = (frame.v - middle) * np.float32(depth_scale / chroma_span)
    if frame.matrix == "gbr":
        raise InputError("a stream of matrix gbr is no YUV (allowed: a YUV matrix, or convert it first)")
    kr, kb = _LUMA_WEIGHTS.get(frame.matrix, _LUMA_WEIGHTS[guess])  # the rest of H.273 is seen as if unspecified
    red = y + _spread(np.float32(2 * (1 - kr)) * v, frame)
    blue = y + _spread(np.float32(2 * (1 - kb)) * u, frame)
    green_part = np.float32(2 * kr * (1 - kr) / (1 - kr - kb)) * v + np.float32(2 * kb * (1 - kb) / (1 - kr - kb)) * u
    green = y - _spread(green_part, frame)
    return np.stack([_to_bytes(red), _to_bytes(green), _to_bytes(blue)], axis=-1)


def _scaled(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return resized(plane if plane.dtype == np.uint8 else plane.astype(np.float32), size)


def _to_bytes(plane: np.ndarray) -> np.ndarray:
    return (np.clip(plane, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def _spread(plane: np.ndarray, frame: Frame) -> np.ndarray:
    """Chroma to luma size by repeating samples; odd sides cut the last one."""
    if frame.chroma in ("420", "422"):
        plane = plane.repeat(2, axis=1)
    if frame.chroma == "420":
        plane = plane.repeat(2, axis=0)
    return plane[: frame.height, : frame.width]
