"""Maps of other methods are found and read as people have them, and what is read is the map of that picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import InputError
from harness.models.sources import MapFolder
from harness.models.working_size import NATIVE

STEMS = ("1", "11", "2")
WANTED = [f"ecssd/{stem}" for stem in STEMS]
PICTURE = np.zeros((30, 40, 3), np.uint8)


def write_maps(folder: Path, form: str = "{}.png", size: tuple[int, int] = (40, 30)) -> None:
    """A flat map of its own level for every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, stem in enumerate(STEMS):
        Image.new("L", size, 50 * (place + 1)).save(folder / form.format(stem))


def levels(source: MapFolder) -> list[int]:
    read = source.open(1)
    found = [read(picture, PICTURE, NATIVE) for picture in WANTED]
    assert all(values.shape == (30, 40) for values in found)
    return [round(float(values.mean())) for values in found]


@pytest.mark.parametrize(
    "form",
    ["{}.png", "{}.PNG", "{}.jpg", "{}.JPEG", "{}.bmp", "{}.tif", "{}.webp", "{}_sal.png", "map-{}.jpg", "u2_{}-0.PNG"],
)
def test_any_suffix_and_one_prefix_and_postfix(form: str, tmp_path: Path) -> None:
    write_maps(tmp_path, form)
    assert levels(MapFolder.at(tmp_path, WANTED, "u2net")) == pytest.approx([50, 100, 150], abs=1)


@pytest.mark.parametrize("size", [(320, 320), (20, 15), (41, 30), (7, 90)])
def test_any_size_is_scaled_to_the_truths(size: tuple[int, int], tmp_path: Path) -> None:
    write_maps(tmp_path, size=size)
    source = MapFolder.at(tmp_path, WANTED, "u2net")
    assert levels(source) == [50, 100, 150] and source.sizes == f"{size[0]}x{size[1]}"


def test_a_turned_map_is_refused(tmp_path: Path) -> None:
    write_maps(tmp_path, size=(30, 40))
    with pytest.raises(InputError, match=r"1\.png: the map is 30x40, its picture 40x30 \(turn it"):
        levels(MapFolder.at(tmp_path, WANTED, "u2net"))


def test_the_splits_folder_may_be_called_in_capitals(tmp_path: Path) -> None:
    write_maps(tmp_path / "ECSSD")
    assert levels(MapFolder.at(tmp_path, WANTED, "u2net")) == [50, 100, 150]


def test_two_files_that_may_be_the_map_are_refused(tmp_path: Path) -> None:
    write_maps(tmp_path / "sal", "{}_sal.png")
    write_maps(tmp_path / "sal", "{}_edge.png")
    with pytest.raises(InputError, match=r"1_(sal|edge) and 1_(sal|edge) may both be the map of 1 "):
        MapFolder.at(tmp_path / "sal", WANTED, "u2net")
    write_maps(tmp_path / "both", "{}.png")
    write_maps(tmp_path / "both", "{}.jpg")
    with pytest.raises(InputError, match=r"both: 1\.jpg and 1\.png may both be the map of 1 \(keep one\)"):
        MapFolder.at(tmp_path / "both", WANTED, "u2net")


def test_a_map_that_is_missing_is_named_as_the_others_are(tmp_path: Path) -> None:
    write_maps(tmp_path, "{}_sal.jpg")
    (tmp_path / "1_sal.jpg").unlink()
    with pytest.raises(InputError, match=r"1 of 3 maps are missing, the first is 1_sal\.png \(allowed: any of .*\.tif"):
        MapFolder.at(tmp_path, WANTED, "u2net")


def test_maps_that_changed_have_another_digest_even_with_their_old_time(tmp_path: Path) -> None:
    write_maps(tmp_path, "{}.bmp")
    before = MapFolder.at(tmp_path, WANTED, "u2net").digest
    assert MapFolder.at(tmp_path, WANTED, "u2net").digest == before
    Image.new("L", (40, 30), 200).save(tmp_path / "2.bmp")
    assert MapFolder.at(tmp_path, WANTED, "u2net").digest != before
