"""What chooses between students on the validation fold runs from its command line, and its tables add up."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import pandas as pd
import pytest

from corpora.synth import ImageOptions, write_images
from tests.helpers import ROOT

V4, V5 = (ROOT / f"results/train/{name}-seed42" for name in ("v4", "v5"))
BOTH = ("native", "short:540")
MEASURES = ["iou_mean@0.5", "maxf_mean_curve", "mae_mean", "s_measure_mean"]


@pytest.fixture(scope="module")
def duts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty drawn pictures in DUTS-TR's layout, of which sixteen are held out."""
    folder = tmp_path_factory.mktemp("data")
    drawn = write_images(folder, ImageOptions(count=20, size=(72, 80), seed=5))
    for ours, theirs in (("images", "DUTS-TR-Image"), ("masks", "DUTS-TR-Mask")):
        shutil.move(drawn / ours, folder / "DUTS-TR" / theirs)
    return folder


@pytest.mark.parametrize(
    ("name", "words", "told", "count"),
    [
        ("memorised", ("--run", V4), "pictures", 2),
        ("looks", ("--run", V4, "--looks", "256", "--looks", "256 192m"), "looks", 2),
        ("shifts", ("--run", V5, "--average-with", V4, "--share", "0.5", "--student", "v5"), "shift", 4),
    ],
)
def test_it_measures(
    name: str, words: tuple[object, ...], told: str, count: int, duts: Path, tmp_path: Path, monkeypatch
) -> None:
    benchmark = importlib.import_module(f"benchmarks.{name}")
    monkeypatch.setattr(benchmark, "SHIFTS", (-1.0, -0.5), raising=False)  # the others take as long again
    monkeypatch.setattr("sys.argv", ["benchmark", *map(str, words), "--root", str(duts), "--out", str(tmp_path)])
    benchmark.main()
    rows = pd.read_csv(tmp_path / f"{name}.csv")
    assert len(rows) == count
    assert rows[MEASURES].stack().between(0, 1).all()
    assert rows[told].nunique() == (count // 2 if name == "shifts" else count)
    if "together" in rows:
        assert set(rows["working_size"]) == set(BOTH)
        sums = rows[MEASURES].sum(axis=1) - 2 * rows["mae_mean"]
        assert rows["together"].tolist() == pytest.approx(sums.tolist())
        whole = rows.groupby(told)["together"].sum()
        assert rows["all sizes"].tolist() == pytest.approx(rows[told].map(whole).tolist())
