"""A y4m that we write says all that is known of its samples, so that nobody converts them behind our back."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import InputError
from harness.media.map_files import map_writer
from harness.media.open import open_clip
from harness.media.y4m import write_y4m
from tests.helpers.clips import synthetic


def header(path: Path) -> str:
    return path.read_bytes().partition(b"\n")[0].decode()


@pytest.mark.parametrize(
    ("chroma", "depth", "siting", "tag"),
    [
        ("420", 8, "unspecified", "C420mpeg2"),
        ("420", 8, "left", "C420mpeg2"),
        ("420", 8, "center", "C420jpeg"),
        ("420", 8, "topleft", "C420paldv"),
        ("420", 10, "left", "C420p10"),
        ("422", 8, "left", "C422"),
        ("444", 12, "unspecified", "C444p12"),
    ],
)
def test_chroma_and_its_place_are_stated_and_read_back(
    tmp_path: Path, chroma: str, depth: int, siting: str, tag: str
) -> None:
    frame, path = synthetic(32, 18, chroma, 1, depth), tmp_path / "a.y4m"
    assert write_y4m(path, [frame, frame], Fraction(30000, 1001), siting=siting) == 2
    assert header(path) == f"YUV4MPEG2 W32 H18 F30000:1001 Ip A1:1 {tag}"
    info = open_clip(path).info
    stated = {"C420mpeg2": "left", "C420jpeg": "center", "C420paldv": "topleft"}
    assert (info.chroma, info.bit_depth, info.siting) == (chroma, depth, stated.get(tag, "unspecified"))
    assert np.array_equal(next(iter(open_clip(path))).u, frame.u)


def test_range_shape_and_fields_are_stated_as_far_as_they_are_known(tmp_path: Path) -> None:
    frame, path = synthetic(32, 18, "420", 1), tmp_path / "a.y4m"
    for known, said, read in (
        ("pc", " XCOLORRANGE=FULL", "pc"),
        ("tv", " XCOLORRANGE=LIMITED", "tv"),
        ("unspecified", "", "unspecified"),
    ):
        write_y4m(path, [replace(frame, range=known)], Fraction(25), pixel_shape=Fraction(16, 11))
        assert header(path) == f"YUV4MPEG2 W32 H18 F25:1 Ip A16:11 C420mpeg2{said}"
        assert (open_clip(path).info.range, open_clip(path).info.pixel_shape) == (read, Fraction(16, 11))
    write_y4m(path, [replace(frame, interlaced=True)], Fraction(25))
    assert " I? " in header(path)


def test_frames_of_two_formats_make_no_file(tmp_path: Path) -> None:
    small, large = synthetic(32, 18, "420", 1), synthetic(32, 20, "420", 1)
    with pytest.raises(InputError, match=r"frame 7 is 32x20 yuv420p unspecified, the first 32x18"):
        write_y4m(tmp_path / "a.y4m", [small, replace(large, index=7)], Fraction(25))
    assert not list(tmp_path.iterdir())


def test_pictures_have_their_chroma_in_the_middle_and_say_so(tmp_path: Path) -> None:
    """A red pixel, in whichever corner of its four, gives the same chroma: libswscale averages the four."""
    samples = set()
    for place in ((4, 4), (4, 5)):
        rgb = np.full((16, 16, 3), 128, np.uint8)
        rgb[place][0] = 255
        folder = tmp_path / f"{place[1]}"
        folder.mkdir()
        Image.fromarray(rgb).save(folder / "0.png")
        clip = open_clip(folder)
        (frame,) = clip
        assert frame.v is not None and clip.info.siting == "center"
        samples.add(int(frame.v[2, 2]))
    assert len(samples) == 1 and samples != {128}


def test_maps_are_full_range_grey(tmp_path: Path) -> None:
    with map_writer(tmp_path / "map.y4m", Fraction(24)) as keep:
        keep(np.linspace(0, 1, 32 * 18, dtype=np.float32).reshape(18, 32))
    assert header(tmp_path / "map.y4m") == "YUV4MPEG2 W32 H18 F24:1 Ip A1:1 Cmono XCOLORRANGE=FULL"
    (frame,) = open_clip(tmp_path / "map.y4m")
    assert (int(frame.y.min()), int(frame.y.max()), frame.range) == (0, 255, "pc")
