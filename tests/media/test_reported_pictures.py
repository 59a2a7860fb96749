"""Pictures that users of other tools reported; `docs/inputs.md` says where and what became of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from corpora.loader import pairs_in
from harness.errors import InputError
from harness.media.pictures import read_mask, read_rgb

SHADES = Image.fromarray(np.random.default_rng(3).integers(0, 256, (4, 6, 3), np.uint8)).resize((48, 32))


def test_print_colours_are_read_as_they_are_shown(tmp_path: Path) -> None:
    """vlfeat/matconvnet#91: the CMYK pictures of ImageNet, where DUTS comes from, came out as stripes."""
    SHADES.convert("CMYK").save(tmp_path / "print.jpg", quality=98)
    assert np.abs(read_rgb(tmp_path / "print.jpg").astype(int) - np.asarray(SHADES)).mean() < 4


def test_of_a_phones_pair_of_pictures_the_first_is_read(tmp_path: Path) -> None:
    """python-pillow/Pillow#7954: a JPEG that holds a preview too was taken for two pictures."""
    SHADES.save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[SHADES.resize((12, 8))], quality=98)
    assert Image.open(tmp_path / "phone.jpg").n_frames == 2
    assert np.abs(read_rgb(tmp_path / "phone.jpg").astype(int) - np.asarray(SHADES)).mean() < 4


@pytest.mark.parametrize("suffix", [".tif", ".png", ".webp"])
def test_a_file_of_several_pictures_is_refused(tmp_path: Path, suffix: str) -> None:
    """PaddlePaddle/PaddleX#5129: of a TIFF of many pages the first was read, in silence."""
    path = tmp_path / f"pages{suffix}"
    SHADES.save(path, save_all=True, append_images=[SHADES.rotate(180)])
    for read in (read_rgb, read_mask):
        with pytest.raises(
            InputError, match=rf"pages{suffix}: holds 2 pictures \(allowed: one; .*magick 'IN\[0\]' OUT"
        ):
            read(path)


def test_hidden_folders_and_files_beside_pictures_are_none(tmp_path: Path) -> None:
    """pytorch/vision#2831 and OpenNeuroOrg/openneuro#2520: `.ipynb_checkpoints` became a class, `._1.png` a picture."""
    for folder in ("images", "masks"):
        (tmp_path / folder / ".ipynb_checkpoints").mkdir(parents=True)
        for place in (tmp_path / folder, tmp_path / folder / ".ipynb_checkpoints"):
            SHADES.save(place / "1.png")
        (tmp_path / folder / "._1.png").write_bytes(b"Mac OS X" * 20)
    assert [pair.name for pair in pairs_in(tmp_path / "images", tmp_path / "masks")] == ["1"]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_picture_that_breaks_off_is_refused_by_name(tmp_path: Path, suffix: str) -> None:
    """pytorch/vision#138 and many more: one truncated file, hours into a run; the usual advice is to read half."""
    path = tmp_path / f"half{suffix}"
    SHADES.resize((480, 320)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=rf"half{suffix}: cannot be decoded: .*truncated"):
        read_rgb(path)
