"""Map streams on disk: whole or absent."""

from __future__ import annotations

import shutil
from fractions import Fraction

import numpy as np
import pytest

from harness.errors import HarnessError, InputError
from harness.media.map_files import map_writer


def test_a_map_folder_is_whole_or_absent(pair_of_clips, tmp_path):
    maps = [np.zeros((4, 4), np.float32)] * 2
    folder = tmp_path / "new" / "maps"
    with pytest.raises(KeyboardInterrupt), map_writer(folder, Fraction(25)) as keep:
        keep(maps[0])
        assert not folder.exists(), "a killed run must not block the next one"
        raise KeyboardInterrupt
    assert list(folder.parent.iterdir()) == []
    folder.mkdir()
    with map_writer(folder, Fraction(25)) as keep:
        for values in maps:
            keep(values)
    assert sorted(path.name for path in folder.parent.rglob("*")) == ["00000.png", "00001.png", "maps"]
    (tmp_path / "file").touch()
    for place, words in [(tmp_path / "file", "is a file"), (tmp_path / "file" / "maps", "cannot write")]:
        with pytest.raises(InputError, match=words), map_writer(place, Fraction(25)):
            pytest.fail("opened")


def test_a_disk_that_fails_midway_is_one_line(tmp_path):
    with (
        pytest.raises(HarnessError, match=r"writing .*maps failed: No such file"),
        map_writer(tmp_path / "maps", Fraction(25)) as keep,
    ):
        shutil.rmtree(next(tmp_path.iterdir()))
        keep(np.zeros((4, 4), np.float32))
    assert list(tmp_path.iterdir()) == []
