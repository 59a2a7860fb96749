"""The quantiser of every block, as a decoder reads it out of the stream: how strongly a map was really followed."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.video.frame import PictureType

from harness.media.ffmpeg import url
from harness.roi.offsets import block_means

CODECS = ("h264",)  # the others of FFmpeg's decoders say nothing, or VP9 in an index of its own
MACROBLOCK = 16
_HEAD = "=IxxxxQQii"  # of AVVideoEncParams: blocks, where they begin, bytes of each, kind, the frame's QP
_BLOCK = np.dtype([(name, "=i4") for name in ("x", "y", "width", "height", "delta")])


def quantisers(path: Path, block: int) -> Iterator[np.ndarray] | None:
    """Luma QP of every frame in display order, the mean over each block of a ceiling grid of `block` pixels.

    NaN where the stream may state none: outside intra frames a skipped block repeats the QP of the one before it, so
    all that repeat it are left out. None for a codec whose decoder does not tell.
    """
    with av.open(url(path)) as container:
        if container.streams.video[0].codec_context.name not in CODECS:
            return None
    return _read(path, block)


def _read(path: Path, block: int) -> Iterator[np.ndarray]:
    with av.open(url(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"export_side_data": "venc_params"}
        stream.thread_type = "AUTO"
        for picture in container.decode(stream):
            sides: Any = picture.side_data
            yield _grid(
                bytes(sides[SideData.VIDEO_ENC_PARAMS]),
                picture.pict_type == PictureType.I,
                picture.height,
                picture.width,
                block,
            )


def _grid(data: bytes, intra: bool, height: int, width: int, block: int) -> np.ndarray:
    count, start, size, _, base = struct.unpack_from(_HEAD, data)
    rows = np.frombuffer(data[start : start + count * size], np.uint8).reshape(count, size)[:, : _BLOCK.itemsize]
    blocks = np.ascontiguousarray(rows).view(_BLOCK)[:, 0]
    stated = (np.diff(blocks["delta"], prepend=0) != 0) | intra
    grid = np.full((-(-height // MACROBLOCK), -(-width // MACROBLOCK)), np.nan)
    grid[blocks["y"][stated] // MACROBLOCK, blocks["x"][stated] // MACROBLOCK] = base + blocks["delta"][stated]
    if block == MACROBLOCK:
        return grid
    known, values = (
        block_means(np.kron(each, np.ones((MACROBLOCK, MACROBLOCK)))[:height, :width], block)
        for each in (~np.isnan(grid), np.nan_to_num(grid))
    )
    return np.where(known > 0, values / np.maximum(known, 1e-12), np.nan)
