"""The evaluation as a user runs it: tables, resume, sharding, saved maps, and everything it must refuse."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from corpora.loader import pairs_in
from harness import metrics
from harness.errors import InputError
from harness.models.placeholder import write_placeholder
from harness.models.sources import MapFolder, find_source
from harness.models.working_size import WorkingSize
from harness.saliency.distort import Distortion
from harness.studies.eval import curves, part
from harness.studies.eval import run as workflow
from harness.studies.eval.compare import drawn, estimates, paired, with_intervals
from harness.studies.eval.options import EvalOptions
from harness.studies.eval.report import SUMMARY, report_tables, summary, write_report
from harness.studies.eval.run import evaluate_pairs
from harness.tables import json_records, published, read_table
from tests.helpers.commands import run
from tests.helpers.discs import IMAGES, copied
from tests.helpers.models import write_breaking

PUBLISHED = 1000  # the toy set goes by ECSSD's name, as its first images
WRITTEN = re.compile(rb'"written": "[^"]+"')


def test_curves_on_disk_are_those_of_the_images_whatever_the_chunks(pairs, monkeypatch) -> None:
    result = evaluate_pairs(["centre-prior"], pairs).results[0]
    weights = np.random.default_rng(0).integers(0, 3, (4, IMAGES)).astype(np.float32)
    whole = {key: result.curves.sums(key, weights) for key in result.curves.shapes}
    monkeypatch.setattr(curves, "CHUNK", 2)
    for key, sums in whole.items():
        np.testing.assert_allclose(result.curves.sums(key, weights), sums, atol=1e-5)
        mean = result.curves.sums(key, np.full((1, IMAGES), 1 / IMAGES))[0]
        np.testing.assert_allclose(mean, result.sums.means()[key], atol=1e-7)


def test_saved_maps_evaluate_like_the_model_up_to_their_rounding(folder, pairs, tmp_path) -> None:
    direct = evaluate_pairs([str(folder / "model.onnx")], pairs, save_maps=tmp_path)
    saved = tmp_path / "model" / "native" / "none"
    wanted = [f"discs/{pair.name}" for pair in pairs["discs"]]
    through = evaluate_pairs([MapFolder.named(f"saved={saved}", wanted)], pairs)
    with pytest.raises(InputError, match=r"are called 'none' \(allowed: NAME=DIR"):
        MapFolder.named(str(saved), wanted)
    ours, theirs = direct.results[0].headline(), through.results[0].headline()
    assert abs(ours["mae_mean"] - theirs["mae_mean"]) < 1 / 255
    assert abs(ours["plcc_mean"] - theirs["plcc_mean"]) < 0.01


def test_options_change_what_they_name(folder, pairs) -> None:
    model = [str(folder / "model.onnx")]
    raw, stretched = evaluate_pairs(model, pairs), evaluate_pairs(model, pairs, EvalOptions(minmax=True))
    assert raw.table()["mae_mean"][0] != stretched.table()["mae_mean"][0]
    assert raw.table()["plcc_mean"][0] == pytest.approx(stretched.table()["plcc_mean"][0])
    extractor = evaluate_pairs(model, pairs, EvalOptions(colour="mobilesal"))
    assert extractor.table()["mae_mean"][0] != raw.table()["mae_mean"][0]
    sizes = evaluate_pairs(model, pairs, EvalOptions((WorkingSize.parse("16"), WorkingSize.parse("native")))).table()
    assert sizes["working_size"].tolist() == ["16", "native"]
    assert sizes["mae_mean"][0] != sizes["mae_mean"][1]


@pytest.mark.parametrize("texts", [("crf=23", "crf=51"), ("jpeg=80", "jpeg=5")])
def test_stronger_compression_moves_the_map_further(folder, pairs, texts) -> None:
    options = EvalOptions(distortions=tuple(map(Distortion.parse, texts)))
    table = evaluate_pairs([str(folder / "model.onnx")], pairs, options).table()
    assert table["distortion"].tolist() == ["none", *texts]
    clean, mild, strong = table["drift_mae_mean"]
    assert np.isnan(clean)
    assert 0 < mild < strong


@pytest.mark.slow
def test_intervals_hold_the_value_and_identical_models_tie(folder, pairs, tmp_path) -> None:
    twin = tmp_path / "twin.onnx"
    write_placeholder(twin)
    evaluation = evaluate_pairs([str(folder / "model.onnx"), str(twin), "centre-prior"], pairs)
    numbers, paired = with_intervals(evaluation)
    known = numbers.dropna(subset=["low"])
    means = known[known["measure"].isin(["iou_mean@0.5", "plcc_mean", "mae_mean", "wf_mean"])]
    assert len(means) == 12
    assert ((means["low"] <= means["value"]) & (means["value"] <= means["high"])).all()
    tied = paired[paired["model"] == "twin"].dropna(subset=["p_value"])
    assert (tied[["difference", "low", "high"]] == 0).all(axis=None)
    assert (tied["p_value"] == 1).all()
    assert (tied["win_rate"].dropna() == 0.5).all()
    against = paired.groupby(["model", "against"])["measure"].nunique()
    assert against.index.tolist() == [("centre-prior", "model"), ("centre-prior", "twin"), ("twin", "model")]
    assert against.nunique() == 1


def test_every_number_says_over_how_many_images_it_is(folder, tmp_path) -> None:
    root = copied(folder, tmp_path)
    for stem, object_height in (("00", 0), ("01", 41)):  # of 40 and 41 rows: an empty truth and a full one
        with Image.open(root / "masks" / f"{stem}.png") as mask:
            pixels = np.zeros(mask.size[::-1], np.uint8)
        pixels[:object_height] = 255
        Image.fromarray(pixels).save(root / "masks" / f"{stem}.png")
    options = EvalOptions(distortions=(Distortion.parse("jpeg=50"),))
    pairs = {"discs": pairs_in(root / "images", root / "masks")}
    evaluation = evaluate_pairs([str(root / "model.onnx"), "centre-prior"], pairs, options)
    numbers, paired = with_intervals(evaluation)
    model = numbers.query("model == 'model' and distortion == 'jpeg=50'").set_index("measure")["defined"]
    sizes = [model[f"iou_{name}_mean@0.5"] for name in ("small", "medium", "large")]
    assert sum(sizes) == IMAGES and sizes[2] == 1
    assert (model["plcc_mean"], model["kld_mean"], model["maxf_mean_curve"]) == (IMAGES - 2, IMAGES - 1, IMAGES)
    shared = paired.query("distortion == 'jpeg=50'").set_index("measure")["defined"]
    assert (shared["plcc_mean"] == IMAGES - 2).all() and (shared["ece@15"] == IMAGES).all()
    for result in evaluation.results:  # nothing else is undefined anywhere
        undefined = {key for key in result.sums.totals if result.sums.undefined(key)}
        assert undefined <= {found.per_image for found in metrics.METRICS.values()}


def test_every_arm_is_compared_with_every_model_before_it_whatever_that_sees(folder, pairs) -> None:
    sizes, distortions = (WorkingSize.parse("16"), WorkingSize.parse("native")), (Distortion.parse("jpeg=50"),)
    wanted = [f"discs/{pair.name}" for pair in pairs["discs"]]
    maps, model = MapFolder.at(folder / "maps", wanted), find_source(str(folder / "model.onnx"))
    settings = {("16", "none"), ("16", "jpeg=50"), ("native", "none"), ("native", "jpeg=50")}
    for first in (maps, model):
        second = model if first is maps else maps
        evaluation = evaluate_pairs([first, "centre-prior", second], pairs, EvalOptions(sizes, distortions))
        rows = with_intervals(evaluation)[1].query("measure == 'mae_mean'")
        found = rows.groupby(["model", "against"])[["working_size", "distortion"]].apply(
            lambda part: set(part.itertuples(index=False, name=None))
        )
        blind = {("-", "none")}
        assert found["centre-prior", first.name] == (blind if first is maps else settings)
        assert found[second.name, first.name] == settings
        assert found[second.name, "centre-prior"] == (settings if first is maps else blind)
        table = evaluation.table().set_index(["model", "working_size", "distortion"])["mae_mean"]
        for _, row in rows.query("model == @second.name and against == @first.name").iterrows():
            seen = table[model.name, row["working_size"], row["distortion"]]
            assert row["difference"] * (1 if second is model else -1) == pytest.approx(
                seen - table[maps.name, "-", "none"]
            )


def test_resampled_numbers_are_the_headline_of_the_drawn_images(folder, pairs) -> None:
    from harness.metrics import Sample, Sums
    from harness.stats import Statistics, resampling

    how = Statistics(resamples=3, seed=9, small=2)
    result = evaluate_pairs(["centre-prior"], pairs).results[0]
    draws = drawn(result, how).draws
    (weights,) = resampling(IMAGES, how)
    mapper = find_source("centre-prior").open(1)
    readings = []
    for pair in pairs["discs"]:
        rgb, truth = part.read_pair(pair, 128)
        readings.append(metrics.reading(Sample.of(mapper("", rgb, WorkingSize()), truth)))
    for place, counts in enumerate(weights.astype(int)):
        sums = Sums.over(reading for reading, times in zip(readings, counts, strict=True) for _ in range(times))
        found = metrics.headline(sums.means())
        assert {key for key in found if metrics.metric(key).per_image is None} == set(draws)
        for key, values in draws.items():
            assert values[place] == pytest.approx(float(found[key]), abs=1e-5, nan_ok=True), key


def test_one_image_has_no_interval_and_no_p_value(folder, pairs) -> None:
    evaluation = evaluate_pairs([str(folder / "model.onnx"), "centre-prior"], pairs, limit=1)
    numbers, differences = with_intervals(evaluation)
    assert np.isfinite(numbers.query("measure == 'iou_mean@0.5'")["value"]).all()
    assert numbers[["low", "high"]].isna().all(axis=None)
    assert differences[["low", "high", "p_value"]].isna().all(axis=None)


def test_differences_are_over_the_images_that_both_define(folder, pairs) -> None:
    first = drawn(evaluate_pairs([str(folder / "model.onnx")], pairs).results[0])
    second = drawn(evaluate_pairs([str(folder / "model.onnx")], pairs).results[0])
    best = second.arm.rows["plcc"].nlargest(3).index
    second.arm.rows.loc[best, "plcc"] = np.nan
    found = paired(first, second)["plcc_mean"]
    assert (found.difference.value, found.difference.count, found.win_rate) == (0, IMAGES - 3, 0.5)
    assert estimates(second)["plcc_mean"].count == IMAGES - 3


@pytest.fixture
def command(folder, tmp_path) -> list[str]:
    """`harness eval` on the small set."""
    root = tmp_path / "ECSSD"
    root.mkdir()
    (root / "images").symlink_to(folder / "images")
    (root / "masks").symlink_to(folder / "masks")
    return ["eval", "--corpus", "ecssd", "--root", str(root), "--model", str(folder / "model.onnx")]


@pytest.mark.slow
def test_all_cores_are_used_unless_told_otherwise_and_change_no_number(command, monkeypatch) -> None:
    monkeypatch.setattr(workflow, "CHUNK", 2)
    monkeypatch.setattr(workflow, "WORTH_A_PROCESS", 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    assert [workflow.usual_workers(images) for images in (1, 3, 4, 1000)] == [1, 1, 2, 2]
    asked = []
    real = workflow.executor_maker
    monkeypatch.setattr(workflow, "executor_maker", lambda *a: asked.append(a) or real(*a))
    usual, alone = (run(*command, "--json", *more).stdout for more in ([], ["--workers", "1"]))
    assert asked == [("local", 2), ("local", 1)]
    assert json.loads(usual) == json.loads(alone)


@pytest.mark.slow
def test_the_command_writes_everything_and_says_partial(folder, tmp_path, command) -> None:
    out = tmp_path / "out"
    asked = [*command, "--limit", "4", "--model", "centre-prior", "--maps", str(folder / "maps"), "--out", str(out)]
    result = run(*asked, "--sheet", "--json")
    if result.exit_code:  # the corpus' own suffixes may refuse PNG pictures
        raise result.exception or AssertionError(result.output)
    printed = json.loads(result.stdout, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    rows = [row for row in printed["numbers"] if row["measure"] == "mae_mean"]
    assert [row["model"] for row in rows] == ["model", "centre-prior", "maps"]
    assert all(row["images"] == f"4/{PUBLISHED}" and row["low"] <= row["value"] <= row["high"] for row in rows)
    (large,) = [row for row in printed["numbers"] if row["measure"] == "iou_large_mean@0.5" and row["model"] == "maps"]
    assert (large["defined"], large["value"], large["low"]) == (0, None, None)
    assert {row["model"] for row in printed["paired"]} == {"centre-prior", "maps"}
    assert printed["options"]["truth"] == "mask > 128"
    assert printed["models"].keys() == {"model", "centre-prior", "maps"} and list(printed["data"]) == ["ecssd[:4]"]
    tables = {path.name: read_table(path) for path in published(out)}
    assert list(tables) == ["images.csv.gz", "numbers.csv", "paired.csv", "summary.csv"]
    assert {table.kind for table in tables.values()} == {f"eval.{name.split('.')[0]}" for name in tables}
    assert json_records(tables["numbers.csv"].rows) == printed["numbers"]
    for table in tables.values():
        assert (table.models, table.data) == (printed["models"], printed["data"])
        assert table.code.module == "harness.studies.eval.compare" and table.code.digest
    names = {path.name for path in out.iterdir()}
    assert {"curves.png", "curves.svg", "report.html", "sheet_ecssd.png"} <= names
    page = (out / "report.html").read_text()
    assert "data:image/png" in page and printed["data"]["ecssd[:4]"] in page and page.count("<polyline") == 6
    assert not any(name.startswith(".") for name in names)
    assert f"PARTIAL: 4 of the {PUBLISHED} images of ecssd" in (out / "summary.md").read_text()
    images = pd.read_csv(out / "images.csv.gz")
    numbers = pd.read_csv(out / "numbers.csv").query("measure == 'mae_mean'").set_index("model")["value"]
    assert images.groupby("model")["mae"].mean().to_dict() == pytest.approx(numbers.to_dict(), abs=1e-5)


def test_the_console_shows_intervals_in_80_columns(folder, pairs, capsys, monkeypatch) -> None:
    from harness.cli.eval import _show

    monkeypatch.setenv("COLUMNS", "80")
    evaluation = evaluate_pairs([str(folder / "model.onnx"), "centre-prior"], pairs)
    rows = summary(with_intervals(evaluation)[0])
    _show(rows, evaluation.options.described())
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    for shown in rows[list(SUMMARY)].to_numpy().ravel():
        assert f" {shown} " in printed  # whole, in one line
    assert "mask > 128" in printed


@pytest.mark.slow
def test_a_report_is_the_same_twice(folder, pairs, tmp_path) -> None:
    for name in ("a", "b"):
        evaluation = evaluate_pairs([str(folder / "model.onnx")], pairs)
        numbers, paired = with_intervals(evaluation)
        write_report(evaluation, numbers, report_tables(evaluation, numbers, paired, "command"), tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        first, second = (WRITTEN.sub(b"", (tmp_path / name / path.name).read_bytes()) for name in "ab")
        assert first == second, path.name


def _spoil_mask_size(root: Path) -> None:
    Image.new("L", (10, 10), 255).save(root / "masks" / "01.png")


def _spoil_picture(root: Path) -> None:
    path = root / "images" / "01.png"
    path.write_bytes(path.read_bytes()[:300])


def _spoil_all_masks(root: Path) -> None:
    for path in (root / "masks").iterdir():
        Image.new("L", Image.open(path).size, 128).save(path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_spoil_mask_size, r"01\.png: mask is 10x10, its image 57x41"),
        (_spoil_picture, r"01\.png: cannot be decoded"),
        (_spoil_all_masks, r"all 5 masks are empty"),
        (lambda root: (root / "masks" / "01.png").unlink(), "1 unpaired files, the first is '01'"),
    ],
)
def test_a_bad_set_is_refused_by_name(folder, tmp_path, spoil, message: str) -> None:
    root = copied(folder, tmp_path)
    spoil(root)
    with pytest.raises(InputError, match=message):
        evaluate_pairs(["centre-prior"], {"discs": pairs_in(root / "images", root / "masks")})


@pytest.mark.slow
def test_a_worker_process_refuses_by_name_too(folder, tmp_path) -> None:
    root = copied(folder, tmp_path)
    _spoil_mask_size(root)
    with pytest.raises(InputError, match=r"01\.png: mask is 10x10"):
        evaluate_pairs(["centre-prior"], {"discs": pairs_in(root / "images", root / "masks")}, workers=2)


def test_missing_maps_are_counted(folder, tmp_path, pairs) -> None:
    root = copied(folder, tmp_path)
    (root / "maps" / "03.png").unlink()
    with pytest.raises(InputError, match=r"1 of 5 maps are missing, the first is 03\.png"):
        MapFolder.at(root / "maps", [f"discs/{pair.name}" for pair in pairs["discs"]])


def test_one_flat_folder_cannot_serve_two_splits(folder, tmp_path, pairs) -> None:
    root = copied(folder, tmp_path)
    one, two = ([f"{split}/{pair.name}" for pair in pairs["discs"]] for split in ("discs", "more"))
    assert MapFolder.at(root / "maps", one).files["discs/00"] == root / "maps/00.png"
    with pytest.raises(InputError, match=r"10 of 10 maps are missing, the first is discs/00\.png .*a folder each"):
        MapFolder.at(root / "maps", one + two)
    for split in ("discs", "more"):
        shutil.copytree(folder / "maps", root / "maps" / split)
    (root / "maps" / "more" / "02.png").unlink()  # one of that name lies in the folder above
    with pytest.raises(InputError, match=r"1 of 10 maps are missing, the first is more/02\.png"):
        MapFolder.at(root / "maps", one + two)
    assert MapFolder.at(root / "maps", one).files["discs/00"] == root / "maps/discs/00.png"


def test_maps_go_by_the_name_they_are_given(folder, pairs, monkeypatch) -> None:
    wanted = [f"discs/{pair.name}" for pair in pairs["discs"]]
    monkeypatch.chdir(folder)
    assert MapFolder.named("maps", wanted).name == "maps"
    assert evaluate_pairs([MapFolder.named("u2net=maps", wanted)], pairs).table()["model"].tolist() == ["u2net"]
    monkeypatch.chdir(folder / "maps")
    for asked in (".", "=.", "a/b=."):
        with pytest.raises(InputError, match=r"allowed: NAME=DIR, a name without '/'"):
            MapFolder.named(asked, wanted)


def test_a_map_with_nan_is_refused_by_picture(pairs) -> None:
    class Broken:
        name, digest, sees = "broken", "", True

        def open(self, threads: int):
            return lambda name, rgb, working: np.full(rgb.shape[:2], np.nan, np.float32)

    with pytest.raises(InputError, match=r"broken on .*00\.png: map holds NaN"):
        evaluate_pairs([Broken()], pairs)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("how", ["half", "twice", "nan", "beyond"])
def test_a_model_that_breaks_its_contract_is_refused_by_picture(pairs, tmp_path, how: str, workers: int) -> None:
    path = write_breaking(tmp_path / "bad.onnx", how)
    with pytest.raises(InputError, match=r"^bad on .*00\.png: bad: (the|its) map .* \(allowed: "):
        evaluate_pairs([str(path)], pairs, workers=workers)


@pytest.mark.parametrize("text", ["crf=99", "jpeg=0", "blur=3", "crf=", "crf=a", "crf=23,33", "jpeg=" + "9" * 5000])
def test_a_bad_distortion_says_what_is_allowed(text: str) -> None:
    with pytest.raises(InputError, match="allowed: crf=N"):
        Distortion.parse(text)


def test_two_models_of_one_name_are_refused(pairs) -> None:
    with pytest.raises(InputError, match="two models are called 'centre-prior'"):
        evaluate_pairs(["centre-prior", "centre-prior"], pairs)
