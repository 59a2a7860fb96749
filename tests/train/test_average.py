"""Weights between those of runs with a common origin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from corpora.loader import Pair
from harness.errors import InputError
from harness.files import sha256_of
from harness.models.session import load_model
from harness.models.sidecar import read_training
from tests.helpers.training import run_once
from train.average import Part, average_with
from train.history import load_best
from train.publish import ONNX_NAME, RUN_EXPORT, compare_runs, export_run, publish
from train.students.registry import build_student


@pytest.fixture(scope="module")
def family(pairs: list[Pair], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path, Path]:
    folder = tmp_path_factory.mktemp("runs")
    first = run_once(pairs, folder / "first", "v4", epochs=1, small_epochs=0)
    second = run_once(pairs, folder / "second", "v4", epochs=1, small_epochs=0, seed=7, start_from=first)
    third = run_once(pairs, folder / "third", "v4", epochs=1, small_epochs=0, seed=8, start_from=second)
    twin = run_once(pairs, folder / "twin", "v4", epochs=1, small_epochs=0, seed=9, start_from=first)
    return first, second, third, twin


@pytest.fixture(scope="module")
def runs(family: tuple[Path, Path, Path, Path]) -> tuple[Path, Path]:
    return family[:2]


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "best.pt", weights_only=True)["student"]
    return state


def test_an_average_lies_where_its_share_says(runs: tuple[Path, Path]) -> None:
    first, second = runs
    student = build_student("v4")
    load_best(student, second)
    average_with(student, second, [Part(first, 0.25)])
    begun, ended = weights(first), weights(second)
    moved = 0.0
    for name, value in student.state_dict().items():
        if value.is_floating_point():  # running means and variances among them
            assert torch.allclose(value, 0.25 * begun[name] + 0.75 * ended[name], atol=1e-6), name
            moved += float((begun[name] - ended[name]).abs().sum())
    assert moved > 0


def test_ancestors_and_runs_with_the_same_start_join_too(
    family: tuple[Path, Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third, twin = family
    student = build_student("v4")
    load_best(student, third)
    others = [Part(twin, 0.25), Part(first, 0.125), Part(second, 0.125)]
    average_with(student, third, others)
    states = [(weights(third), 0.5), *((weights(part.run), part.share) for part in others)]
    for name, value in student.state_dict().items():
        if value.is_floating_point():
            assert torch.allclose(value, sum(share * state[name] for state, share in states), atol=1e-6), name
    monkeypatch.setattr("train.publish.doubt", lambda history: None)
    training = read_training(publish(third, "of-four", tmp_path, others).with_suffix(".json"))
    assert [(part["best_pt_sha256"], part["share"]) for part in training["averaged_with"]] == [
        (sha256_of(part.run / "best.pt"), part.share) for part in others
    ]
    assert [("started_from" in part, len(part["fold_sha256"])) for part in training["averaged_with"]] == [
        (True, 64), (False, 64), (True, 64),
    ]  # fmt: skip
    assert training["started_from"]["started_from"]["best_pt_sha256"] == sha256_of(first / "best.pt")
    with pytest.raises(InputError, match=r"leave 0 for the run itself \(allowed: between 0 and 1\)"):
        average_with(student, third, [Part(second, 0.5), Part(first, 0.5)])


def test_what_is_published_is_the_average_and_its_sidecar_says_so(
    runs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = runs
    monkeypatch.setattr("train.publish.doubt", lambda history: None)  # two batches teach nothing
    ended = publish(second, "ended", tmp_path)
    half = publish(second, "half", tmp_path, [Part(first, 0.5)])
    again = publish(second, "again", tmp_path, [Part(first, 0.5)])
    assert load_model(half).sha256 == load_model(again).sha256 != load_model(ended).sha256
    (part,) = read_training(half.with_suffix(".json"))["averaged_with"]
    assert part["best_pt_sha256"] == sha256_of(first / "best.pt") and part["share"] == 0.5
    assert part["pairs"] == 32 and len(part["listing_sha256"]) == 64  # whose fold it was, for who validates
    alone = read_training(ended.with_suffix(".json"))
    assert "averaged_with" not in alone and alone["best_val_iou"] is not None
    assert not [
        key for key in read_training(half.with_suffix(".json")) if "val_iou" in key
    ]  # measured of the run alone
    notes = json.loads((tmp_path / "tiny" / "registry.json").read_text())
    assert "averaged with 0.5 of first" in json.dumps(notes)


def test_a_table_of_runs_tells_of_each_alone_and_leaves_an_average_where_it_lies(runs: tuple[Path, Path]) -> None:
    first, second = runs
    names = (ONNX_NAME, RUN_EXPORT)
    alone = export_run(second)
    (first / ONNX_NAME).unlink(missing_ok=True)
    plain = compare_runs([first, second], "harness runs")
    assert (first / ONNX_NAME).exists() and plain.models["second"] == alone.sha256
    half = export_run(second, [Part(first, 0.5)])
    before = [(second / name).read_bytes() for name in names]
    again = compare_runs([first, second], "harness runs")
    assert before == [(second / name).read_bytes() for name in names] and again.models["second"] != half.sha256
    assert again.rows.equals(plain.rows) and again.models == plain.models
    assert plain.rows["parameters"].tolist() == [298_292] * 2


def test_another_look_takes_the_weights_of_the_run(
    runs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = runs
    monkeypatch.setattr("train.publish.doubt", lambda history: None)
    finer = publish(first, "finer", tmp_path, student="v5")
    training = read_training(finer.with_suffix(".json"))
    assert training["trained_as"] == "v4" and training["param_count"] == 298_292
    assert not [key for key in training if "val_iou" in key]  # measured as v4 looks
    picture = torch.rand(1, 3, 96, 160, generator=torch.Generator().manual_seed(3))
    student = build_student("v5").eval()
    load_best(student, first)
    (found,) = load_model(finer).session.run(None, {"input": picture.numpy()})
    with torch.inference_mode():
        assert (student(picture) - torch.from_numpy(found)).abs().max() < 1e-5
    with pytest.raises(InputError, match="the weights of v4 do not fit v3"):
        publish(first, "narrower", tmp_path, student="v3")
    with pytest.raises(InputError, match="unknown student 'v9'"):
        publish(first, "unknown", tmp_path, student="v9")


@pytest.mark.parametrize("share", [1.0, -0.5, float("nan")])
def test_a_share_of_all_or_of_less_than_nothing_is_refused(share: float, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="allowed: from 0 to below 1"):
        Part(tmp_path, share)


def test_shares_of_nothing_are_no_average(runs: tuple[Path, Path]) -> None:
    first, second = runs
    with pytest.raises(InputError, match=r"leave 1 for the run itself \(allowed: between 0 and 1\)"):
        average_with(build_student("v4"), second, [Part(first, 0.0)])


def test_a_stranger_is_not_averaged_with_a_run(runs: tuple[Path, Path], pairs: list[Pair], tmp_path: Path) -> None:
    first, second = runs
    stranger = run_once(pairs, tmp_path / "stranger", "v4", epochs=1, small_epochs=0, seed=7)
    student = build_student("v4")
    before = {name: value.clone() for name, value in student.state_dict().items()}
    for run in (first, second):
        with pytest.raises(InputError, match=r"no origin in common .*allowed: what it began with, or what began where"):
            average_with(student, run, [Part(stranger, 0.5)])
    with pytest.raises(InputError, match="allowed: a run with one"):
        average_with(student, second, [Part(tmp_path / "none", 0.5)])
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())
