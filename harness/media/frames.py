"""What a clip is and what its frames hold: YUV planes and the names of their colours."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from harness.media.crop import NO_CROP, Crop

UNSPECIFIED = "unspecified"

# ITU-T H.273 code points under FFmpeg's option names.
MATRICES = {
    **{0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco", 9: "bt2020nc"},
    **{10: "bt2020c", 11: "smpte2085", 12: "chroma-derived-nc", 13: "chroma-derived-c", 14: "ictcp", 15: "ipt-c2"},
    **{16: "ycgco-re", 17: "ycgco-ro"},
}
RANGES = {1: "tv", 2: "pc"}
PRIMARIES = {
    **{1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film", 9: "bt2020"},
    **{10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "ebu3213"},
}
TRANSFERS = {
    **{1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear", 11: "iec61966-2-4"},
    **{9: "log100", 10: "log316", 12: "bt1361e", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12"},
    **{16: "smpte2084", 17: "smpte428", 18: "arib-std-b67"},
}


def code_of(names: dict[int, str], value: str) -> int | None:
    """The code point of a name in one of the tables above; None for `unspecified`."""
    return next((code for code, name in names.items() if name == value), None)


@dataclass(frozen=True)
class Look:
    """What a stream says of its picture beside its colours, in the words that x265 and FFmpeg take; "" where nothing.

    `siting` is where chroma sits, `mastering` an HDR10 mastering display, `light` its `MaxCLL,MaxFALL`.
    """

    siting: str = ""
    mastering: str = ""
    light: str = ""


@dataclass(frozen=True)
class ClipInfo:
    """What a clip is, under FFmpeg's names; `frames` is exact for y4m, raw video and folders (`counted`), else what the
    container says, None where it says nothing: `media.pairing.survey` counts what decodes.

    `matrix`, `range`, `primaries` and `transfer` say `unspecified` where the stream does.
    `variable_rate` is true where the stream's average and base rates differ.
    `audio` and `subtitles` count streams. `pixel_shape` is width over height of a pixel, 1 where none is stated.
    `siting` is where chroma sits, as far as PyAV tells: in a y4m and a folder of pictures.
    `stream` is the index of the one that is shown among all streams of its file. `start`, in seconds, is where the
    file's own clock begins, and `begins` how long after that the picture does. `tick` is what all times are multiples
    of, None where frames are evenly spaced; these three and `look` are known once `contents` has read them.
    `stored` is the stream's own pixel format, which `pix_fmt` serves. `crop` is what the container cuts off its
    picture, to leave `width` and `height`.
    """

    path: Path
    width: int
    height: int
    pix_fmt: str
    bit_depth: int
    chroma: str
    frame_rate: Fraction
    frames: int | None
    matrix: str = UNSPECIFIED
    range: str = UNSPECIFIED
    primaries: str = UNSPECIFIED
    transfer: str = UNSPECIFIED
    variable_rate: bool = False
    audio: int = 0
    subtitles: int = 0
    pixel_shape: Fraction = Fraction(1)
    siting: str = UNSPECIFIED
    stream: int = 0
    start: Fraction = Fraction(0)
    begins: Fraction = Fraction(0)
    tick: Fraction | None = None
    look: Look = Look()
    stored: str = ""
    counted: bool = False
    crop: Crop = NO_CROP


@dataclass(frozen=True)
class Frame:
    """One picture: `y`, `u`, `v` as `[H, W]` uint8, or uint16 above 8 bits; `u` and `v` are None for grey.

    `time` is in seconds. `interlaced`: it holds two fields; `turned`: to be shown rotated or mirrored; `turn`: by how
    many degrees counter-clockwise, None where it is mirrored or the angle is no multiple of 90.
    The planes may be views of the decoder's buffer: treat them as read-only.
    """

    index: int
    time: float
    y: np.ndarray
    u: np.ndarray | None
    v: np.ndarray | None
    pix_fmt: str
    bit_depth: int
    chroma: str
    matrix: str = UNSPECIFIED
    range: str = UNSPECIFIED
    interlaced: bool = False
    turned: bool = False
    turn: int | None = 0

    @property
    def height(self) -> int:
        """Rows of the luma plane."""
        return int(self.y.shape[0])

    @property
    def width(self) -> int:
        """Columns of the luma plane."""
        return int(self.y.shape[1])

    def picture(self, into: av.VideoFrame | None = None) -> av.VideoFrame:
        """A copy as a PyAV frame of the same format, a new one or `into`; the caller sets `pts` and colour tags."""
        picture = av.VideoFrame(self.width, self.height, self.pix_fmt) if into is None else into
        for plane, values in zip(picture.planes, (self.y, self.u, self.v), strict=False):
            assert values is not None
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            rows[: len(values), : values.shape[1] * values.itemsize] = np.ascontiguousarray(values).view(np.uint8)
        return picture


def pix_fmt_name(bit_depth: int, chroma: str) -> str:
    """FFmpeg's planar format of a depth and a chroma layout.

    >>> pix_fmt_name(8, "420"), pix_fmt_name(10, "444"), pix_fmt_name(8, "400")
    ('yuv420p', 'yuv444p10le', 'gray')
    """
    stem = "gray" if chroma == "400" else f"yuv{chroma}p"
    return stem if bit_depth == 8 else f"{stem}{bit_depth}le"


def bt709(rgb: np.ndarray) -> av.VideoFrame:
    """RGB uint8 `[H, W, 3]` as 8-bit 4:2:0 by BT.709, limited range, chroma centred."""
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    return picture.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
