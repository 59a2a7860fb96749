"""The one reader of still pictures and masks: what it cannot read as meant is refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from harness.errors import InputError

PICTURE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
FOREGROUND = 127  # a mask's pixels above it are the object


def read_rgb(path: Path) -> np.ndarray:
    """A picture as uint8 RGB `[H, W, 3]`, grey ones repeated; `InputError` when it cannot be decoded."""
    return np.asarray(_decoded(path, "RGB"))


def read_grey(path: Path) -> np.ndarray:
    """An 8-bit picture as uint8 `[H, W]`; `InputError` when it cannot be decoded or has more than 8 bits."""
    return np.asarray(_decoded(path, "L"))


def read_mask(path: Path, above: int = FOREGROUND, size: tuple[int, int] | None = None) -> np.ndarray:
    """A mask as bool `[H, W]`: where its grey is more than `above`.

    With a `size` (height, width) it is scaled to that first, bilinearly.
    """
    grey = read_grey(path)
    return (grey if size is None else resized(grey.astype(np.float32), size)) > above


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear (antialiased when shrinking) to `(height, width)`: uint8 `[H, W(, 3)]` or float32 `[H, W]`."""
    if picture.shape[:2] == size:
        return picture
    image = Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def _decoded(path: Path, mode: str) -> Image.Image:
    try:
        with Image.open(path) as image:
            if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"):
                raise InputError(f"{path}: pixels of mode {image.mode} (allowed: 8 bits a channel)")
            return image.convert(mode)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: cannot be decoded: {error}") from error
