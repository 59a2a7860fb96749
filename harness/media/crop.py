"""What a container cuts off its picture: Matroska's PixelCrop, MP4's clean aperture. Decoders do not know of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from harness.errors import InputError
from harness.media.said import said

_CROPPING = ("matroska", "mov")  # demuxers that tell of it


@dataclass(frozen=True)
class Crop:
    """Columns and rows to cut off each side of a stored picture."""

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0

    def __bool__(self) -> bool:
        return bool(self.left or self.right or self.top or self.bottom)

    def of(self, plane: np.ndarray, width: int, height: int) -> np.ndarray:
        """The part of a plane `[H, W]` that is shown, of a picture stored as `width` x `height`."""
        across, down = -(-width // plane.shape[1]), -(-height // plane.shape[0])
        columns = -(-(width - self.left - self.right) // across)
        rows = -(-(height - self.top - self.bottom) // down)
        top, left = self.top // down, self.left // across
        return plane[top : top + rows, left : left + columns]


NO_CROP = Crop()


def read_crop(container: av.container.InputContainer, stream: int) -> Crop:
    """What the container says of a stream, by its index; FFmpeg's program applies it, its libraries do not."""
    if not container.format.name.startswith(_CROPPING):
        return NO_CROP
    with said(av.logging.INFO):  # else the dump is empty
        dump: str = container.dumps_format()  # type: ignore[attr-defined]
    own = re.search(rf"Stream #0:{stream}\b.*(?:\n(?! *Stream ).*)*", dump)
    found = own and re.search(r"frame cropping: (\d+)/(\d+)/(\d+)/(\d+)", own[0], re.IGNORECASE)
    return Crop(*map(int, found.groups())) if found else NO_CROP


def check_crop(crop: Crop, path: Path, width: int, height: int, chroma: str) -> None:
    """`InputError` for a crop that begins within a chroma sample, or leaves nothing of `width` x `height`."""
    across, down = 1 if chroma in ("400", "444") else 2, 2 if chroma == "420" else 1
    if crop.left % across or crop.top % down or crop.left + crop.right >= width or crop.top + crop.bottom >= height:
        raise InputError(
            f"clip {path}: its container crops {crop.left} columns and {crop.top} rows first, of {width}x{height} "
            f"{chroma}: within a chroma sample, or all (crop it first: ffmpeg -i {path.name} -c:v ffv1 OUT.mkv)"
        )
