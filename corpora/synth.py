"""Write the generated corpora: image and mask pairs, and y4m clips with a mask per frame."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from corpora.scenes import make_scene
from harness.errors import InputError
from harness.files import read_text, whole_folder

GENERATION = 1  # raised whenever the same options would give other pixels
RECORD = "synth.json"
SMALLEST, LARGEST = 32, 8192  # pictures with more pixels than that squared are not read
FPS = 25

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ImageOptions:
    """How many images, their (width, height) in pixels, and the seed that everything follows from."""

    count: int = 24
    size: tuple[int, int] = (320, 240)
    seed: int = 0


@dataclass(frozen=True)
class ClipOptions:
    """How many clips of how many frames at 25 frames/s, their even (width, height) in pixels, and the seed."""

    count: int = 3
    frames: int = 24
    size: tuple[int, int] = (320, 192)
    seed: int = 0


def write_images(out: Path, options: ImageOptions = ImageOptions(), progress: Progress | None = None) -> Path:
    """Write `OUT/synth/{images,masks}/NNNN.png` and return that folder, which `load_pairs('synth', OUT)` reads.

    Every fourth image has low contrast. An existing folder written with the same options is kept as it is;
    any other content there is an `InputError`.
    """
    check_images(options)

    def fill(folder: Path) -> None:
        for kind in ("images", "masks"):
            (folder / kind).mkdir()
        _each(lambda index: image(folder, index), options.count, progress)

    def image(folder: Path, index: int) -> None:
        scene = make_scene((options.seed, 0, index), options.size, moving=False, low_contrast=index % 4 == 3)
        frame, mask = scene.render()
        Image.fromarray(frame).save(folder / f"images/{index:04}.png")
        _mask_image(mask).save(folder / f"masks/{index:04}.png")

    return _whole_folder(Path(out) / "synth", {"generation": GENERATION, **asdict(options)}, fill)


def write_clips(out: Path, options: ClipOptions = ClipOptions(), progress: Progress | None = None) -> Path:
    """Write `OUT/synth-clips/{clips/NAME.y4m,masks/NAME/NNNNN.png}`, which `load_clips('synth-clips', OUT)` reads.

    Clips take turns: a still camera, a panning one, an object of low contrast. Existing content as in `write_images`.
    """
    check_clips(options)

    def fill(folder: Path) -> None:
        (folder / "clips").mkdir()
        _each(lambda index: clip(folder, index), options.count, progress)

    def clip(folder: Path, index: int) -> None:
        kind = ("still", "pan", "faint")[index % 3]
        name = f"{index:02}-{kind}"
        seed = (options.seed, 1, index)
        scene = make_scene(seed, options.size, moving=True, low_contrast=kind == "faint", panning=kind == "pan")
        (folder / "masks" / name).mkdir(parents=True)
        with (folder / f"clips/{name}.y4m").open("wb") as stream:
            stream.write(y4m_header(options.size, FPS))
            for number in range(options.frames):
                frame, mask = scene.render(number / options.frames)
                stream.write(b"FRAME\n" + yuv420(frame))
                _mask_image(mask).save(folder / f"masks/{name}/{number:05}.png")

    return _whole_folder(Path(out) / "synth-clips", {"generation": GENERATION, **asdict(options)}, fill)


def check_images(options: ImageOptions) -> None:
    """`InputError` for what `write_images` would refuse before it writes."""
    _check(options.count, options.size, "images")


def check_clips(options: ClipOptions) -> None:
    """`InputError` for what `write_clips` would refuse before it writes."""
    _check(options.count, options.size, "clips")
    if options.frames < 1:
        raise InputError(f"{options.frames} frames in a clip (allowed: 1 or more)")
    if options.size[0] % 2 or options.size[1] % 2:
        raise InputError(f"clips of {options.size[0]}x{options.size[1]} pixels (allowed: even sides, for 4:2:0)")


def _each(write: Callable[[int], None], count: int, progress: Progress | None) -> None:
    """Write item by item, several at once: each follows from its own seed."""
    with ThreadPoolExecutor(min(count, os.cpu_count() or 1)) as pool:
        for done, _ in enumerate(pool.map(write, range(count)), 1):
            if progress:
                progress(done, count)


def y4m_header(size: tuple[int, int], fps: int) -> bytes:
    """The stream header of 8-bit progressive 4:2:0 with chroma between its four luma samples."""
    return f"YUV4MPEG2 W{size[0]} H{size[1]} F{fps}:1 Ip A1:1 C420jpeg XCOLORRANGE=LIMITED\n".encode()


def yuv420(rgb: NDArray[np.uint8]) -> bytes:
    """uint8 RGB [H, W, 3] of even sides as planar 4:2:0, BT.601 limited range: what players assume of an untagged y4m.

    Chroma is the mean of its four pixels.
    """
    red, green, blue = np.moveaxis(rgb.astype(np.float64) / 255, -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    planes = [
        16 + 219 * luma,
        *(128 + 224 * _quarter(chroma) for chroma in ((blue - luma) / 1.772, (red - luma) / 1.402)),
    ]
    return b"".join((plane + 0.5).astype(np.uint8).tobytes() for plane in planes)


def _quarter(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    return (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) / 4


def _mask_image(mask: NDArray[np.bool_]) -> Image.Image:
    return Image.fromarray(mask.astype(np.uint8) * 255)


def _check(count: int, size: tuple[int, int], what: str) -> None:
    if count < 1:
        raise InputError(f"{count} {what} (allowed: 1 or more)")
    if min(size) < SMALLEST or max(size) > LARGEST:
        raise InputError(f"{what} of {size[0]}x{size[1]} pixels (allowed: sides of {SMALLEST} to {LARGEST})")


def _whole_folder(folder: Path, record: dict[str, object], fill: Callable[[Path], None]) -> Path:
    """Fill a temporary folder, note its options in it, rename it to `folder`; nothing is left behind on failure."""
    written = json.dumps(record)
    if folder.exists():
        note = folder / RECORD
        if note.is_file() and read_text(note) == written:
            return folder
        raise InputError(f"{folder} exists and was not written with these options (remove it or choose another OUT)")
    with whole_folder(folder) as temporary:
        fill(temporary)
        (temporary / RECORD).write_text(written, encoding="utf-8")
    return folder
