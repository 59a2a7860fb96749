from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from huggingface_hub import ModelCard
from PIL import Image

from harness.errors import HarnessError, InputError
from harness.models.card import card_text, check_card, check_cards, write_card
from harness.models.registry import entries, entry_for, register, sidecar_for
from harness.tables import Table, write_table
from tests.helpers import ROOT
from tests.helpers.models import write_student

TRAINING = {"dataset": "DUTS-TR", "loss": "bce", "optimizer": "adam", "seed": 42}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A model folder with one trained student, and an evaluation of it under results/."""
    path = write_student(tmp_path / "s.onnx")
    entry = entry_for("s", path, "A test student.", "One layer.")
    register(entry, sidecar_for(entry, TRAINING), path, tmp_path / "model")
    setting = {"split": "ecssd", "model": "s", "working_size": "native", "distortion": "none", "images": "1000/1000"}
    measures = {"iou_mean@0.5": 0.61234, "mae_mean": 0.1}
    numbers = pd.DataFrame([{**setting, "measure": key, "value": value} for key, value in measures.items()])
    summary = pd.DataFrame([{**setting, "iou_mean@0.5": "0.612 [0.600, 0.624]"}])
    inputs = {"model s": entry["sha256"]}
    for name, rows in (("numbers", numbers), ("summary", summary)):
        write_table(Table(name, f"Title of {name}", rows, "harness eval --corpus ecssd", inputs), results(tmp_path))
    for picture in ("curves.png", "sheet_ecssd.png"):
        Image.new("RGB", (4, 4)).save(results(tmp_path) / picture)
    return tmp_path


def results(project: Path) -> Path:
    return project / "results" / "eval"


def test_a_card_is_valid_for_hugging_faces_own_parser(project: Path):
    card = ModelCard.load(write_card("s", project / "model"))
    found = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert found == {"iou_mean@0.5": 0.61234, "mae_mean": 0.1}
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
    path = results(project) / "summary.json"
    content = json.loads(path.read_text())
    content["rows"][0]["iou_mean@0.5"] = "0.999"
    path.write_text(json.dumps(content))
    with pytest.raises(HarnessError, match="is older than its model or its results"):
        check_card("s", models)


def test_numbers_of_other_weights_under_the_same_name_are_not_printed(project: Path):
    path = write_student(project / "other.onnx", 3.0)
    entry = entry_for("s", path, "A test student.", "Trained again.")
    register(entry, sidecar_for(entry, {}), path, project / "model")
    text = card_text("s", project / "model", project / "results")
    assert "0.612" not in text
    assert "there is no number to print" in text


@pytest.mark.parametrize("column", ["model", "student"])
def test_a_table_that_does_not_say_with_which_file_is_not_printed(project: Path, column: str):
    rows = pd.DataFrame([{column: "s", "speed": "fast"}])
    write_table(Table("speed", "A table without digest", rows, "python speed.py"), results(project))
    assert "A table without digest" not in card_text("s", project / "model", project / "results")
    write_table(Table("speed", "A table with another", rows, "python speed.py", {"s": "0" * 64}), results(project))
    assert "A table with another" not in card_text("s", project / "model", project / "results")


def test_a_table_whose_row_holds_the_files_digest_is_printed_whatever_it_calls_the_model(project: Path):
    digest = entry_for("s", project / "model" / "tiny" / "s.onnx", "", "")["sha256"]
    for own, printed in ((digest, True), (digest[:12], True), (digest[:11], False), ("0" * 12, False), (None, False)):
        rows = pd.DataFrame([{"student": "v1", "sha256": own}])
        write_table(Table("students", "Students", rows, "harness runs"), results(project))
        assert ("### Students" in card_text("s", project / "model", project / "results")) is printed


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


def test_an_unknown_model_is_refused(project: Path):
    with pytest.raises(InputError, match=r"unknown model 't' \(allowed: s\)"):
        write_card("t", project / "model")
    assert not (project / "model" / "cards").exists()


SIZES = {"128": (0.60, 0.58, 0.62), "192": (0.61, 0.59, 0.63), "256": (0.595, 0.58, 0.61), "native": (0.5, 0.48, 0.52)}


def write_scale_study(project: Path, images: str) -> None:
    """The student at four working sizes, in more rows than a card would print."""
    setting = {"split": "ecssd", "model": "s", "distortion": "none", "images": images}
    bounds = ("value", "low", "high")
    rows = [
        {**setting, "working_size": size, "measure": measure, **dict(zip(bounds, numbers, strict=True))}
        for size, numbers in SIZES.items()
        for measure in ("iou_mean@0.5", *(f"other_{index}" for index in range(60)))
    ]
    inputs = {"model s": entry_for("s", project / "model" / "tiny" / "s.onnx", "", "")["sha256"]}
    folder = project / "results" / "eval" / "scale"
    write_table(Table("numbers", "All numbers", pd.DataFrame(rows), "harness eval --limit 200", inputs), folder)


def test_the_card_recommends_the_working_size_that_its_scale_study_found(project: Path):
    assert "so none is recommended" in card_text("s", project / "model", project / "results")
    write_scale_study(project, "200/1000")
    text = card_text("s", project / "model", project / "results")
    assert "`--working-size 192` is recommended: of 128, 192, 256, native" in text
    assert "200/1000 images of ecssd, 0.610 [0.590, 0.630]. Within that interval: 128, 256.\n" in text
    assert "From `results/eval/scale/numbers.json`." in text


@pytest.mark.parametrize(("images", "count"), [("200/1000", 2), ("1000/1000", 2 + len(SIZES))])
def test_numbers_of_part_of_a_set_are_no_result_on_it(project: Path, images: str, count: int):
    write_scale_study(project, images)
    card = ModelCard(card_text("s", project / "model", project / "results"))
    assert len(card.data.eval_results) == count
