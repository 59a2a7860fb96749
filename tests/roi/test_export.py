"""Offsets in the formats of other programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import InputError
from harness.roi.export import EXPORTS, svtav1_base, write_kvazaar, write_svtav1


def test_export_formats(tmp_path: Path) -> None:
    grids = [np.array([[-4.0, 4.0]]), np.array([[-4.0, 4.0]]), np.array([[0.0, 2.0]])]
    write_kvazaar(tmp_path / "k", grids[:1])
    assert (tmp_path / "k").read_text() == "2 1\n-4 4\n"
    write_svtav1(tmp_path / "s", grids)
    assert (tmp_path / "s").read_text() == "0 -20 20\n2 0 10\n"
    with pytest.raises(InputError, match="SVT-AV1 takes 8"):
        write_svtav1(tmp_path / "no", [np.arange(9.0)[None]])
    assert set(EXPORTS) == {"kvazaar", "svtav1", "x264-json", "png", "npz"}


def test_svtav1s_map_has_nothing_below_zero_and_its_crf_takes_that_up() -> None:
    finer, (raised, other) = svtav1_base([np.array([[-4.0, 4.0]]), np.array([[-1.0, 0.0]])])
    assert finer == 3 and raised.tolist() == [[0.0, 8.0]] and other.tolist() == [[3.0, 4.0]]
    assert svtav1_base([np.array([[0.0, 2.0]])])[0] == 0
