"""Benchmarks refuse what they cannot measure, and their tables say what they were made from."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.tables import read_table
from tests.helpers import ROOT
from tests.helpers.clips import noisy_clip
from tests.helpers.models import write_student


def told(name: str, words: list[object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What a benchmark that refuses its words says."""
    monkeypatch.setattr("sys.argv", ["benchmark", *map(str, words)])
    with pytest.raises(SystemExit):
        importlib.import_module(f"benchmarks.{name}").main()
    return capsys.readouterr().err


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


def test_an_extractor_s_time_has_what_the_system_spent_for_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor = importlib.import_module("benchmarks.extractor")
    spent = SimpleNamespace(ru_utime=1000.0, ru_stime=500.0, ru_maxrss=1)
    monkeypatch.setattr(extractor.resource, "getrusage", lambda who: spent)
    noisy_clip(tmp_path / "a.y4m", count=2)
    found = extractor.work("convert", str(tmp_path / "a.y4m"), str(write_student(tmp_path / "student.onnx")))
    assert found["cpu_ms"] >= 1500e3 / 2  # a frame


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to spoil"),
        (["--mirror", "--blur", 4], "--blur 4 (allowed: 3, 5, 7 …)"),
        (["--blur", 1], "--blur 1 (allowed: 3, 5, 7 …)"),
    ],
)
def test_only_a_blur_that_keeps_the_size_spoils_a_map(
    words: list[object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", "saliency_student_v1", "--out", tmp_path / "a.onnx", *words]
    assert said in told("spoil", words, monkeypatch, capsys) and not (tmp_path / "a.onnx").exists()


def test_averages_are_told_apart_by_the_names_of_their_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    words = ["--run", "a", "--with", tmp_path / "1" / "b", "--with", tmp_path / "2" / "b"]
    assert "two runs are called b (allowed: folders of different" in told("averages", words, monkeypatch, capsys)


def test_looks_need_a_working_size_to_choose(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    words = ["--run", ROOT / "results" / "train" / "v3-seed42"]
    assert "v3 has no working size that could be chosen (allowed: a run" in told("looks", words, monkeypatch, capsys)
