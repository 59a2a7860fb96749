"""What is read is what is there: turned, scaled, or refused in one line, the same wherever pictures are read."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from corpora.loader import Corpus, Pair, pairs_in
from corpora.manifest import load_manifest
from corpora.verify import verify
from harness.errors import InputError
from harness.files import sha256_of
from harness.media.open import open_clip
from harness.media.pictures import read_grey, read_mask, read_rgb
from harness.studies.eval.part import read_pair
from harness.studies.roi.arm import Masks
from harness.studies.score.ladder import reference_rows
from tests.helpers import ROOT, VECTORS
from train.data import resized_pair

TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda shown: shown,
    2: np.fliplr,
    3: lambda shown: np.rot90(shown, 2),
    4: np.flipud,
    5: lambda shown: shown.swapaxes(0, 1),
    6: lambda shown: np.rot90(shown, 1),
    7: lambda shown: np.rot90(shown.swapaxes(0, 1), 2),
    8: lambda shown: np.rot90(shown, -1),
}
"""From what is to be shown to what is stored under each EXIF orientation."""


def picture(height: int = 40, width: int = 64) -> np.ndarray:
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3)).astype(np.uint8)
    return coarse.repeat(8, 0).repeat(8, 1)


def write(path: Path, values: np.ndarray, orientation: int = 1, mode: str | None = None) -> Path:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(values), mode).save(path, exif=exif)
    return path


def disc(height: int = 40, width: int = 64) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.where((y - 12) ** 2 + (x - 20) ** 2 < 81, 255, 0).astype(np.uint8)


# Pictures ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_a_picture_is_read_as_it_is_shown(tmp_path: Path, suffix: str, orientation: int) -> None:
    shown = picture()
    path = write(tmp_path / f"a{suffix}", TURNS[orientation](shown), orientation)
    found = read_rgb(path)
    assert found.shape == shown.shape
    assert np.abs(found.astype(int) - shown).mean() < (1e-9 if suffix in (".png", ".tif") else 12)
    assert np.array_equal(read_grey(path), np.asarray(Image.fromarray(found).convert("L")))


def test_broken_exif_leaves_a_picture_as_it_is_stored(tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0nonsense")
    assert read_rgb(tmp_path / "a.jpg").shape == (40, 64, 3)


@pytest.mark.parametrize(("suffix", "order"), [(".png", "<u2"), (".tif", "<u2"), (".tif", ">u2")])
def test_grey_of_16_bits_keeps_its_levels(tmp_path: Path, suffix: str, order: str) -> None:
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    path = tmp_path / f"a{suffix}"
    Image.fromarray(levels.astype(order)).save(path)
    assert np.array_equal(read_grey(path).ravel(), np.arange(256))
    assert np.array_equal(read_rgb(path)[..., 1].ravel(), np.arange(256))
    Image.fromarray(np.full((4, 4), 30_000, np.uint16)).save(path)
    assert int(read_grey(path)[0, 0]) == round(30_000 / 257)


def test_alpha_that_hides_nothing_is_dropped_and_any_other_refused(tmp_path: Path) -> None:
    rgb = picture()
    alpha = np.full((*rgb.shape[:2], 1), 255, np.uint8)
    assert np.array_equal(read_rgb(write(tmp_path / "a.png", np.dstack([rgb, alpha]))), rgb)
    alpha[3, 3] = 254
    with pytest.raises(InputError, match=r"b\.png: has transparent pixels.*flatten it first"):
        read_rgb(write(tmp_path / "b.png", np.dstack([rgb, alpha])))
    palette = Image.fromarray(rgb).quantize(8)
    palette.save(tmp_path / "c.png", transparency=200)
    assert np.abs(read_rgb(tmp_path / "c.png").astype(int) - rgb).mean() < 80
    palette.save(tmp_path / "d.png", transparency=0)
    with pytest.raises(InputError, match="transparent pixels"):
        read_grey(tmp_path / "d.png")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks)


@pytest.mark.slow
@pytest.mark.parametrize("side", [12_000, 40_000])
def test_a_picture_too_large_is_refused_before_it_is_decoded(tmp_path: Path, side: int) -> None:
    (tmp_path / "0.png").write_bytes(png(side, side, chunk(b"IDAT", zlib.compress(bytes(100)))))
    with pytest.raises(InputError, match=r"0\.png is too large: .*(12000x12000|1600000000) pixels.*HARNESS_MAX_PIXELS"):
        read_rgb(tmp_path / "0.png")
    command = [sys.executable, "-m", "harness", "score", tmp_path, tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr


def test_the_bound_on_pixels_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.png", picture())
    monkeypatch.setenv("HARNESS_MAX_PIXELS", str(40 * 64 - 1))
    with pytest.raises(InputError, match=r"it has 64x40 pixels \(allowed: 2,559 pixels in all"):
        read_rgb(path)
    monkeypatch.setenv("HARNESS_MAX_PIXELS", str(40 * 64))
    assert read_rgb(path).shape == (40, 64, 3)
    monkeypatch.setenv("HARNESS_MAX_PIXELS", "many")
    with pytest.raises(InputError, match="HARNESS_MAX_PIXELS=many"):
        read_rgb(path)


def unreadable(folder: Path) -> dict[str, str]:
    whole = write(folder / "whole.png", picture()).read_bytes()
    Image.fromarray(np.zeros((4, 4), np.float32)).save(folder / "float.tif")
    files = {
        "empty.png": b"",
        "words.png": b"no picture at all",
        "cut.png": whole[: len(whole) // 2],
        "broken.png": whole[:40] + b"\0\0\0\0" + whole[44:],
        "no-header.png": png(8, 8)[:8] + chunk(b"IDAT", b"x"),
        "bad-stream.png": png(8, 8, chunk(b"IDAT", b"not deflated"), chunk(b"IEND", b"")),
        "text-bomb.png": png(8, 8, chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(80_000_000)))),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return {**dict.fromkeys(files, "cannot be decoded"), "absent.png": "No such file", "float.tif": "pixels of mode F"}


def test_what_is_no_picture_is_refused_in_one_line_that_names_it(tmp_path: Path) -> None:
    for name, words in unreadable(tmp_path).items():
        for read in (read_rgb, read_grey, read_mask):
            with pytest.raises(InputError, match=words) as caught:
                read(tmp_path / name)
            assert name in str(caught.value) and "\n" not in str(caught.value)


# Masks ---------------------------------------------------------------------------------------------------------------


def masks_that_say_the_same(folder: Path) -> list[Path]:
    grey = disc()
    opaque = np.full_like(grey, 255)
    Image.fromarray(grey).convert("1").save(folder / "one-bit.png")
    palette = Image.fromarray((grey > 0).astype(np.uint8))
    palette.putpalette([0, 0, 0, 255, 255, 255])
    palette.save(folder / "palette.png")
    return [
        write(folder / "grey.png", grey),
        write(folder / "rgb.png", np.dstack([grey] * 3)),
        write(folder / "rgba.png", np.dstack([grey] * 3 + [opaque])),
        write(folder / "grey-alpha.png", np.dstack([grey, opaque])),
        write(folder / "turned.png", TURNS[6](grey), 6),
        write(folder / "rgb.jpg", np.dstack([grey] * 3)),
        folder / "one-bit.png",
        folder / "palette.png",
    ]


def test_masks_that_say_the_same_are_read_the_same(tmp_path: Path) -> None:
    for path in masks_that_say_the_same(tmp_path):
        found = read_mask(path)
        assert found.dtype == bool and found.shape == (40, 64)
        assert (found != (disc() > 0)).mean() < (0.01 if path.suffix == ".jpg" else 1e-9), path.name


def mask_in_the_alpha_channel(path: Path) -> Path:
    grey = disc()
    return write(path, np.dstack([np.full_like(grey, 255)] * 3 + [grey]))


def mask_of_labels(path: Path) -> Path:
    return write(path, (disc() > 0).astype(np.uint8))


def mask_of_16_bits(path: Path) -> Path:
    return write(path, disc().astype(np.uint16) * 257)


def mask_of_colours(path: Path) -> Path:
    labels = Image.fromarray((disc() > 0).astype(np.uint8))
    labels.putpalette([0, 0, 0, 128, 0, 0])  # DAVIS-2017's first object, 38 in grey
    labels.save(path)
    return path


MISTAKEN: dict[str, tuple[Callable[[Path], Path], str]] = {
    "alpha": (mask_in_the_alpha_channel, r"transparent pixels.*-alpha extract"),
    "labels": (mask_of_labels, r"a mask of 0 to 1, all of it background.*multiply 255"),
    "16 bits": (mask_of_16_bits, r"a mask of 16 bits.*-depth 8"),
    "colours": (mask_of_colours, r"a mask with colours"),
}


def test_a_threshold_may_take_labels_for_what_they_are(tmp_path: Path) -> None:
    path = mask_of_labels(tmp_path / "a.png")
    assert np.array_equal(read_mask(path, above=0), disc() > 0)
    write(path, np.zeros((8, 8), np.uint8))
    assert not read_mask(path).any(), "an empty mask is one"
    write(path, np.full((8, 8), 21, np.uint8))
    assert not read_mask(path).any(), "what one of twelve people marked is grey, no label"


def test_a_mask_is_scaled_before_it_is_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", np.array([[0, 255]], np.uint8))
    assert read_mask(path, size=(1, 4)).tolist() == [[False, False, True, True]]


# The same wherever pictures are read ---------------------------------------------------------------------------------


def one_pair(root: Path, image: np.ndarray, orientation: int = 1) -> Pair:
    """A set of one upright mask and an image that is stored turned."""
    return Pair(
        "a",
        write(root / "images" / "a.png", TURNS[orientation](image), orientation),
        write(root / "masks" / "a.png", disc()),
    )


def check(root: Path, pair: Pair) -> None:
    manifest = load_manifest("synth")
    found = verify(Corpus(manifest, root, manifest.layouts[0]))
    if not found.sound:
        raise InputError("; ".join([*found.reasons, *(f"{name} mismatched" for name in found.mismatched)]))


def ladder(root: Path, pair: Pair) -> None:
    model = ["tiny", str(VECTORS / "mobilesal_tiny.onnx"), sha256_of(VECTORS / "mobilesal_tiny.onnx")]
    reference_rows("a", str(pair.image.parent), [model], "25", str(pair.mask.parent))


def sweep(root: Path, pair: Pair) -> None:
    list(Masks.of(pair.mask.parent, open_clip(pair.image.parent).info, None))


READERS: dict[str, Callable[[Path, Pair], object]] = {
    "eval": lambda root, pair: read_pair(pair, 128),
    "train and validate": lambda root, pair: resized_pair(pair.image, pair.mask, 32),
    "verify": check,
    "ladder": ladder,
    "sweep": sweep,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("mistake", MISTAKEN)
def test_every_command_refuses_a_mask_that_may_mean_something_else(tmp_path: Path, mistake: str, reader: str) -> None:
    pair = one_pair(tmp_path, picture())
    READERS[reader](tmp_path, pair)
    make, words = MISTAKEN[mistake]
    make(pair.mask)
    with pytest.raises(InputError, match=rf"a\.png: .*{words}"):
        READERS[reader](tmp_path, pair)


@pytest.mark.parametrize("reader", ["eval", "train and validate", "verify"])
def test_every_command_turns_a_picture_before_it_meets_its_mask(tmp_path: Path, reader: str) -> None:
    upright = READERS[reader](tmp_path, one_pair(tmp_path, picture()))
    for orientation in (3, 6):
        turned = READERS[reader](tmp_path, one_pair(tmp_path, picture(), orientation))
        if isinstance(upright, tuple) and isinstance(turned, tuple):
            assert np.array_equal(upright[0], turned[0]), orientation


def test_frames_of_a_folder_are_upright_and_keep_16_bits(tmp_path: Path) -> None:
    grey = disc()
    write(tmp_path / "upright" / "0.png", grey)
    write(tmp_path / "turned" / "0.png", TURNS[3](grey), 3)
    write(tmp_path / "deep" / "0.png", grey.astype(np.uint16) * 257)
    planes = [next(iter(open_clip(tmp_path / name))).y for name in ("upright", "turned", "deep")]
    assert np.ptp(planes[0]) > 200
    assert np.array_equal(planes[0], planes[1]) and np.array_equal(planes[0], planes[2])


@pytest.mark.parametrize("twice", ["images", "masks"])
def test_two_files_of_one_stem_are_no_pair(tmp_path: Path, twice: str) -> None:
    pair = one_pair(tmp_path, picture())
    write(tmp_path / twice / "a.jpg", picture() if twice == "images" else disc())
    with pytest.raises(InputError, match=r"a\.jpg and a\.png share a stem"):
        pairs_in(pair.image.parent, pair.mask.parent)
    manifest = load_manifest("synth")
    found = verify(Corpus(manifest, tmp_path, manifest.layouts[0]))
    assert not found.sound and {f"{twice}/a.jpg", f"{twice}/a.png"} <= set(found.unpaired)


def test_no_other_place_opens_pictures() -> None:
    """But for what was a JPEG in memory a moment ago."""
    sources = [path for folder in ("harness", "train", "corpora") for path in (ROOT / folder).rglob("*.py")]
    opening = [path.relative_to(ROOT).as_posix() for path in sources if "Image.open(" in path.read_text()]
    assert sorted(opening) == ["harness/media/pictures.py", "harness/saliency/distort.py"]
