from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from huggingface_hub import ModelCard
from PIL import Image

from harness.errors import HarnessError, InputError
from harness.files import sha256_of
from harness.models.card import card_text, check_card, check_cards, write_card
from harness.models.folders import model_folder
from harness.models.registry import entries, entry_for, register, sidecar_for
from harness.tables import Table, read_table, write_table
from tests.helpers import ROOT
from tests.helpers.models import write_student

pytestmark = pytest.mark.slow

TRAINING = {"dataset": "DUTS-TR", "loss": "bce", "optimizer": "adam", "seed": 42}


SETTINGS = {"map range": "raw", "colour": "rgb", "truth": "mask > 128", "map to truth size": "bilinear"}
SIZES = {"128": (0.60, 0.58, 0.62), "192": (0.61, 0.59, 0.63), "256": (0.595, 0.58, 0.61), "native": (0.5, 0.48, 0.52)}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A model folder with one trained student, and an evaluation of it under results/."""
    path = write_student(tmp_path / "s.onnx")
    entry = entry_for("s", path, "A test student.", "One layer.")
    register(entry, sidecar_for(entry, TRAINING), path, tmp_path / "model")
    write_numbers(tmp_path, "eval", {"native": (0.61234, 0.6, 0.62)})
    summary = pd.DataFrame([{**setting(), "working_size": "native", "iou_mean@0.5": "0.612 [0.600, 0.624]"}])
    write_table(a_table("eval.summary", summary, {"s": entry["sha256"]}), results(tmp_path))
    for picture in ("curves.png", "sheet_ecssd.png"):
        Image.new("RGB", (4, 4)).save(results(tmp_path) / picture)
    return tmp_path


def a_table(kind: str, rows: pd.DataFrame, models: dict[str, str], **more: Any) -> Table:
    name = kind.rpartition(".")[2]
    return Table(kind, name, f"Title of {name}", rows, "harness eval --corpus ecssd", models, **more)


def setting(**changed: str) -> dict[str, str]:
    return {"split": "ecssd", "model": "s", "distortion": "none", "images": "1000/1000", **changed}


def write_numbers(
    project: Path,
    folder: str,
    sizes: dict[str, tuple[float, float, float]],
    settings: dict[str, str] = SETTINGS,
    written: str = "2026-01-01T00:00:00+00:00",
    **changed: str,
) -> None:
    """An evaluation's numbers: IoU by working size, MAE, and more rows than a card would print."""
    bounds = ("value", "low", "high")
    rows = [
        {**setting(**changed), "working_size": size, "measure": measure, **dict(zip(bounds, numbers, strict=True))}
        for size, numbers in sizes.items()
        for measure in ("iou_mean@0.5", "mae_mean", *(f"other_{index}" for index in range(200)))
    ]
    table = a_table("eval.numbers", pd.DataFrame(rows), {"s": digest(project)}, settings=settings, written=written)
    write_table(table, project / "results" / folder)


def digest(project: Path) -> str:
    return sha256_of(project / "model" / "tiny" / "s.onnx")


def metrics_of(project: Path) -> dict[tuple[str, str], float]:
    """The card's model index: value by (setting, measure); one that comes twice is a failure."""
    found = ModelCard(card_text("s", project / "model", project / "results")).data.eval_results
    keys = [(result.dataset_config, result.metric_type) for result in found]
    assert len(keys) == len(set(keys))
    return {key: result.metric_value for key, result in zip(keys, found, strict=True)}


def results(project: Path) -> Path:
    return project / "results" / "eval"


def test_a_card_is_valid_for_hugging_faces_own_parser(project: Path):
    card = ModelCard.load(write_card("s", project / "model"))
    found = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert found == {"iou_mean@0.5": 0.61234, "mae_mean": 0.61234}
    assert card.data.eval_results[0].dataset_name == "ECSSD"
    assert card.data.license_name == "bsd-3-clause-plus-patent"


def test_a_card_holds_the_five_points_the_terms_the_tables_and_the_pictures(project: Path):
    text = card_text("s", project / "model", project / "results")
    for heading in ("What it is", "What comes out", "How to run it", "Where it comes from", "Known limits"):
        assert f"## {heading}\n" in text
    assert "All rights reserved by the original authors of DUTS Image Dataset." in text
    assert "0.612 [0.600, 0.624]" in text
    assert "(../../results/eval/curves.png)" in text and "sheet_" not in text
    assert "Title of summary" in text and "Title of numbers" not in text


def test_a_card_gives_the_terms_of_every_corpus_that_the_sidecar_names(project: Path):
    path = project / "model" / "tiny" / "s.json"
    sidecar = json.loads(path.read_text())
    path.write_text(json.dumps({**sidecar, "training": {**TRAINING, "dataset": "DUTS-TR, HKU-IS"}}))
    text = card_text("s", project / "model", project / "results")
    assert "DUTS-TR: " in text and "HKU-IS: " in text and "MSRA10K: " not in text
    path.write_text(json.dumps({**sidecar, "training": {**TRAINING, "dataset": "holiday pictures"}}))
    with pytest.raises(HarnessError, match="'holiday pictures', of which no manifest gives the terms"):
        card_text("s", project / "model", project / "results")


def test_a_card_says_how_far_its_graph_looks(project: Path):
    text = card_text("s", project / "model", project / "results")
    assert "A pixel of the map depends on rows at most 0 away" in text


def test_the_example_in_a_card_runs(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    text = card_text("s", project / "model", project / "results")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code
    monkeypatch.chdir(project / "model" / "tiny")
    Image.new("RGB", (33, 29), "orange").save("picture.jpg")
    exec(code[1], {})
    assert 0 <= float(capsys.readouterr().out.removeprefix("saliency_mean ")) <= 1


def test_check_fails_when_a_results_file_or_the_model_is_newer(project: Path):
    models = project / "model"
    with pytest.raises(HarnessError, match="s has no card"):
        check_card("s", models)
    written = write_card("s", models)
    assert check_card("s", models) == written
    summary = read_table(results(project) / "summary.csv")
    summary.rows["iou_mean@0.5"] = "0.999"
    write_table(summary, results(project))
    with pytest.raises(HarnessError, match="is older than its model or its results"):
        check_card("s", models)


def test_numbers_of_other_weights_under_the_same_name_are_not_printed(project: Path):
    path = write_student(project / "other.onnx", 3.0)
    entry = entry_for("s", path, "A test student.", "Trained again.")
    register(entry, sidecar_for(entry, {}), path, project / "model")
    text = card_text("s", project / "model", project / "results")
    assert "0.612" not in text
    assert "there is no number to print" in text


def test_a_table_of_other_weights_or_without_a_record_is_not_printed(project: Path):
    rows = pd.DataFrame([{"model": "s", "speed": "fast"}])
    for models, printed in (({}, False), ({"s": "0" * 64}, False), ({"other name": digest(project)}, True)):
        write_table(a_table("speed.students", rows, models), results(project))
        assert ("### Title of students" in card_text("s", project / "model", project / "results")) is printed
    (results(project) / "students.md").write_text("# Title of students\n\nno record\n")
    assert "Title of students" not in card_text("s", project / "model", project / "results")


def test_numbers_under_another_name_of_the_same_file_count(project: Path):
    path = results(project) / "numbers.csv"
    table = read_table(path)
    renamed = replace(table, rows=table.rows.assign(model="production"), models={"production": digest(project)})
    write_table(renamed, results(project))
    assert metrics_of(project)[NATIVE, "mae_mean"] == 0.61234


def test_check_without_an_id_names_every_card_that_is_out_of_date(project: Path):
    models = project / "model"
    for name, gain in (("t", 2.0), ("u", 3.0)):
        path = write_student(project / f"{name}.onnx", gain)
        entry = entry_for(name, path, "A test student.", "One layer.")
        register(entry, sidecar_for(entry, TRAINING), path, models)
    for name in "st":
        write_card(name, models)
    (models / "cards" / "s.md").write_text("old")
    words = [sys.executable, "-m", "harness", "card", "--check", "--models", str(models)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "s.md is older" in done.stderr and "u has no card" in done.stderr and "t.md" not in done.stderr
    for name in "su":
        write_card(name, models)
    assert [path.stem for path in check_cards(models)] == ["s", "t", "u"]


def test_every_shipped_card_is_up_to_date():
    assert len(check_cards()) == len(entries())


def test_without_results_a_card_is_neither_written_nor_called_old(project: Path):
    shutil.rmtree(project / "results")
    card = next((project / "model" / "cards").glob("*.md"), None)
    before = card.read_text() if card else None
    entry = next(iter(entries(project / "model")))["id"]
    for act in (write_card, check_card):
        with pytest.raises(InputError, match=r"no results at .*/results, and without them a card has no numbers"):
            act(entry, project / "model")
    assert (card.read_text() if card else None) == before


def test_an_unknown_model_is_refused(project: Path):
    with pytest.raises(InputError, match=r"unknown model 't' \(allowed: s\)"):
        write_card("t", project / "model")
    assert not (project / "model" / "cards").exists()


def test_the_card_recommends_the_working_size_that_its_scale_study_found(project: Path):
    assert "so none is recommended" in card_text("s", project / "model", project / "results")
    write_numbers(project, "scale", SIZES, images="200/1000")
    text = card_text("s", project / "model", project / "results")
    assert "`--working-size 192` is recommended: of 128, 192, 256, native" in text
    assert "200/1000 images of ecssd, 0.610 [0.590, 0.630]. Within that interval: 128, 256.\n" in text
    assert "From `results/scale/numbers.csv`." in text


NATIVE = "working size native, map range raw, colour rgb, truth mask > 128, map to truth size bilinear"


@pytest.mark.parametrize(
    "changed",
    [
        {"images": "200/1000"},
        {"images": "4/4"},
        {"images": "1001/1001"},
        {"split": "my own"},
        {"split": "synth", "images": "24/24"},
        {"split": "duts-tr", "images": "10553/10553"},
    ],
)
def test_only_whole_published_test_sets_give_a_result(project: Path, changed: dict[str, str]):
    before = metrics_of(project)
    write_numbers(project, "scale", SIZES, **changed)
    assert metrics_of(project) == before
    write_numbers(project, "scale", SIZES)
    assert len(metrics_of(project)) == 2 * len(SIZES)


def test_one_result_comes_once_and_from_the_newest_table(project: Path):
    for folder, value, written in (("z", 0.5, "2026-01-02"), ("a", 0.7, "2026-01-03"), ("b", 0.9, "2025-12-31")):
        write_numbers(project, folder, {"native": (value, 0.1, 0.9)}, written=f"{written}T00:00:00+00:00")
    assert metrics_of(project) == {(NATIVE, "iou_mean@0.5"): 0.7, (NATIVE, "mae_mean"): 0.7}
    newest = {"written": "2026-01-04T00:00:00+00:00", "images": "999/1000"}
    write_numbers(project, "c", {"native": (0.8, 0.1, 0.9)}, **newest)
    assert metrics_of(project)[NATIVE, "mae_mean"] == 0.7, "a part of the set does not replace the whole"


@pytest.mark.parametrize(
    ("changed", "settings", "config"),
    [
        ({}, {"map range": "per-image min-max"}, NATIVE.replace("raw", "per-image min-max")),
        ({}, {"colour": "mobilesal"}, NATIVE.replace("rgb", "mobilesal")),
        ({}, {"truth": "mask > 0"}, NATIVE.replace("128", "0")),
        ({"distortion": "crf 33"}, {}, NATIVE.replace("native,", "native, after crf 33,")),
    ],
)
def test_results_of_other_settings_stand_under_labels_of_their_own(
    project: Path, changed: dict[str, str], settings: dict[str, str], config: str
):
    write_numbers(project, "other", {"native": (0.7, 0.6, 0.8)}, settings={**SETTINGS, **settings}, **changed)
    found = metrics_of(project)
    assert found[NATIVE, "mae_mean"] == 0.61234 and found[config, "mae_mean"] == 0.7 and len(found) == 4


def test_no_shipped_card_gives_a_result_twice():
    for entry in entries():
        card = ModelCard.load(model_folder() / "cards" / f"{entry['id']}.md")
        found = card.data.eval_results or []
        keys = [(result.dataset_type, result.dataset_config, result.metric_type) for result in found]
        assert len(keys) == len(set(keys)), entry["id"]
