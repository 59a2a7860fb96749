"""Benchmarks' tables say what they were made from."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import pytest

from harness.tables import read_table
from tests.helpers import ROOT
from tests.helpers.clips import noisy_clip


def test_what_a_map_costs_says_of_which_clips_and_how_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roi_speed = importlib.import_module("benchmarks.roi_speed")
    folder, file = tmp_path / "walk", tmp_path / "run.y4m"
    folder.mkdir()
    for number in range(2):
        shutil.copy(ROOT / "docs" / "roi.jpg", folder / f"{number}.jpg")
    noisy_clip(file)
    monkeypatch.setattr(roi_speed, "ratios", lambda *_: [{"against plain": "side data"}])
    digests = []
    for _ in range(2):
        words = [folder, file, "--model", "saliency_student_v1", "--frames", 3, "--repeats", 2, "--out", tmp_path]
        monkeypatch.setattr("sys.argv", ["benchmark", *map(str, words)])
        roi_speed.main()
        table = read_table(tmp_path / "roi.csv")
        assert set(table.data) == {"clip walk", "clip run"} and "--frames 3 --repeats 2" in table.command
        digests.append(dict(table.data))
        (folder / "1.jpg").write_bytes((folder / "1.jpg").read_bytes() + b"\0")
    assert digests[0]["clip run"] == digests[1]["clip run"] and digests[0]["clip walk"] != digests[1]["clip walk"]
