"""The one reader of still pictures and masks: shown upright, 8 bits a channel, or refused in one line."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageChops

from harness.errors import InputError

PICTURE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
FOREGROUND = 127  # a mask's pixels above it are the object
MOST_PIXELS = 1 << 26  # 8192 x 8192: 192 MiB once decoded
MORE_PIXELS = "HARNESS_MAX_PIXELS"
LABELS = 16  # a mask that stays below holds numbers of objects, not how bright they are drawn
COLOURED = 32  # channels further apart are a colour, not a grey that JPEG spoiled
warnings.filterwarnings("ignore", module=r"PIL\.")  # of sizes and broken EXIF: a refusal says it, or it does no harm
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF orientation
_EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def read_rgb(path: Path) -> np.ndarray:
    """A picture as it is to be shown: uint8 RGB `[H, W, 3]`.

    The EXIF orientation is applied, grey is repeated, 16-bit grey becomes the nearest of 256 levels; of 16-bit colour
    Pillow gives the upper 8 bits. Raises `InputError` for what cannot be decoded, has transparent pixels, samples of
    more than 16 bits, or more pixels than `most_pixels`.
    """
    with opened(path) as image:
        return np.asarray(_upright(image, path).convert("RGB"))


def read_grey(path: Path) -> np.ndarray:
    """A picture's luma (ITU-R 601, as Pillow has it) as uint8 `[H, W]`; turned, scaled, refused as in `read_rgb`."""
    with opened(path) as image:
        return np.asarray(_upright(image, path).convert("L"))


def read_mask(path: Path, above: int = FOREGROUND, size: tuple[int, int] | None = None) -> np.ndarray:
    """A mask as bool `[H, W]`: where its grey, 0 to 255, is more than `above`.

    With a `size` (height, width) the grey is scaled to that first, bilinearly. Raises `InputError` as `read_rgb` does,
    and for what a mask might mean otherwise: 16 bits, colours, an alpha channel in use, or labels such as 0 and 1
    that `above` would call background all.
    """
    with opened(path) as image:
        grey = _mask(image, path)
        highest = int(grey.getextrema()[1])  # type: ignore[arg-type]
        if 0 < highest < LABELS and highest <= above:
            raise InputError(
                f"{path}: a mask of 0 to {highest}, all of it background (allowed: 0 to 255, the object above {above}; "
                f"stretch it first: magick IN -evaluate multiply {255 // highest} OUT)"
            )
        values = np.asarray(grey)
    return (values if size is None else resized(values.astype(np.float32), size)) > above


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear (antialiased when shrinking) to `(height, width)`: uint8 `[H, W(, 3)]` or float32 `[H, W]`."""
    if picture.shape[:2] == size:
        return picture
    image = Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def most_pixels() -> int:
    """How many pixels a picture may have: `HARNESS_MAX_PIXELS`, else 8192 x 8192; `InputError` for no number."""
    named = os.environ.get(MORE_PIXELS)
    if named is not None and not (named.isdecimal() and int(named)):
        raise InputError(f"{MORE_PIXELS}={named} (allowed: a number of pixels)")
    return int(named) if named else MOST_PIXELS


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """A picture's file whose header was read; what Pillow raises inside, decoding it, is an `InputError` outside."""
    most = most_pixels()
    if Image.MAX_IMAGE_PIXELS is not None and most > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = most  # Pillow has a bound of its own
    try:
        with Image.open(path) as image:
            if image.width * image.height > most:
                raise Image.DecompressionBombError(f"it has {image.width}x{image.height} pixels")
            count = getattr(image, "n_frames", 1)
            if count > 1 and image.format != "MPO":  # a phone's, whose others belong to the first
                raise InputError(f"{path}: holds {count} pictures (allowed: one; take it first: magick 'IN[0]' OUT)")
            yield image
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        allowed = f"allowed: {most:,} pixels in all, or as many as {MORE_PIXELS} says"
        raise InputError(f"{path} is too large: {error} ({allowed})") from error
    except Exception as error:  # Pillow's decoders raise what they like: SyntaxError, struct.error, zlib.error …
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"{path}: cannot be decoded: {said.splitlines()[0]}") from error


def _upright(image: Image.Image, path: Path) -> Image.Image:
    """The opaque picture, turned as its EXIF says, in an 8-bit mode."""
    if _transparent(image):
        raise InputError(
            f"{path}: has transparent pixels, and what lies behind them is not stated "
            "(flatten it first: magick IN -background black -flatten OUT)"
        )
    image.load()  # which turns a TIFF by itself, and then states no orientation
    turn = _TURNS.get(_orientation(image))
    image = _eight_bits(image, path)
    return image if turn is None else image.transpose(turn)


def _mask(image: Image.Image, path: Path) -> Image.Image:
    """The mask's grey, turned as its EXIF says."""
    if _deep(image):
        raise InputError(f"{path}: a mask of 16 bits (allowed: 8 bits; convert it first: magick IN -depth 8 OUT)")
    if _transparent(image):
        raise InputError(
            f"{path}: a mask with transparent pixels, so its alpha channel may be the object "
            "(write that as grey: magick IN -alpha extract OUT; or drop it: magick IN -alpha off OUT)"
        )
    shown = _upright(image, path)
    if shown.mode not in ("1", "L", "LA"):
        red, green, blue = shown.convert("RGB").split()
        apart = [ImageChops.difference(*two).getextrema()[1] for two in ((red, green), (green, blue))]
        if max(apart) > COLOURED:  # type: ignore[type-var, operator]
            raise InputError(
                f"{path}: a mask with colours, which do not say what the object is "
                "(allowed: grey, 0 for the background to 255 for the object)"
            )
    return shown.convert("L")


def _deep(image: Image.Image) -> bool:
    """Whether this is grey of 16 bits; older Pillows give a PNG of such as 32."""
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")


def _eight_bits(image: Image.Image, path: Path) -> Image.Image:
    if _deep(image):
        return Image.fromarray(((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8))
    if image.mode not in _EIGHT_BITS:
        raise InputError(f"{path}: pixels of mode {image.mode} (allowed: 8 bits a channel, or grey of 16)")
    return image


def _transparent(image: Image.Image) -> bool:
    return image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema()[0] != 255


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken EXIF: viewers show such a picture as it is stored
        return 1
