"""Offsets as region-of-interest side data on the frames themselves."""

from __future__ import annotations

import ctypes
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import Type as SideData

from harness.errors import HarnessError
from harness.media.frames import ClipInfo, Frame
from harness.roi.encoders.base import Encoder
from harness.roi.regions import regions_of, runs_of

QP_UNITS = 1000
REGION = np.dtype([(name, "=i4") for name in ("size", "top", "bottom", "left", "right", "numerator", "denominator")])
"""FFmpeg's `AVRegionOfInterest`."""


class OffsetsAsSideData:
    """Makes pictures that carry offsets as region-of-interest side data.

    PyAV can read that side data but not make it; FFmpeg's `addroi` filter makes it, one region a filter, too slowly
    for every frame. So one such picture is made once, of empty regions, and each frame is written over it.
    """

    def __init__(self, info: ClipInfo, encoder: Encoder) -> None:
        self.info, self.block, self.limit = info, encoder.block, encoder.regions
        self.scale = encoder.fraction + 6 * (info.bit_depth - 8)
        self.places = 0  # regions that the picture has room for
        self.canvas: Any = None
        self.offsets: np.ndarray | None = None
        self.table = b""

    def picture(self, frame: Frame, offsets: np.ndarray) -> av.VideoFrame:
        """`frame` with its offsets in QP per block as side data, valid until the next call; encoders copy it."""
        if offsets is not self.offsets:
            place = offsets, self.block, self.info.height, self.info.width
            regions = runs_of(*place) if self.limit is None else np.array(regions_of(*place))
            exact = self.limit is not None and len(regions) != self.places  # no room for empty ones to spare
            if len(regions) and (exact or len(regions) > self.places):
                self.places = len(regions) if exact else max(64, 2 * len(regions))
                self.canvas = self._with_empty_regions()
            self.offsets, self.table = offsets, self._table(regions)
        if not self.table:
            return frame.picture()
        self.canvas.make_writable()  # no cost unless the encoder still holds it
        data = self.canvas.side_data[SideData.REGIONS_OF_INTEREST]
        if data.buffer_size != len(self.table):
            raise HarnessError(
                f"this FFmpeg's AVRegionOfInterest is no {REGION.itemsize} bytes long (PyAV {av.__version__})"
            )
        ctypes.memmove(data.buffer_ptr, self.table, len(self.table))
        return frame.picture(self.canvas)

    def _table(self, regions: np.ndarray) -> bytes:
        if not len(regions):
            return b""
        table = np.zeros(self.places, REGION)
        table["size"], table["denominator"] = REGION.itemsize, round(self.scale * QP_UNITS)
        x, y, width, height, offset = regions.T
        used = table[: len(regions)]
        used["top"], used["bottom"], used["left"], used["right"] = y, y + height, x, x + width
        used["numerator"] = np.round(offset * QP_UNITS)  # whole QPs stay whole where encoders truncate
        table["numerator"][len(regions) :] = used["numerator"][-1]  # empty, and no new value for VP8's segments
        return table.tobytes()

    def _with_empty_regions(self) -> Any:
        graph = Graph()
        picture = av.VideoFrame(self.info.width, self.info.height, self.info.pix_fmt)
        picture.pts, picture.time_base = 0, Fraction(1, 25)
        size = {"width": picture.width, "height": picture.height, "format": self.info.pix_fmt}
        source = last = graph.add_buffer(**size, time_base=picture.time_base)  # type: ignore[arg-type]
        for _ in range(self.places):
            step = graph.add("addroi", "x=0:y=0:w=0:h=0:qoffset=0")
            last.link_to(step)
            last = step
        sink = graph.add("buffersink")
        last.link_to(sink)
        graph.configure()
        source.push(picture)
        made: Any = sink.pull()
        return made
