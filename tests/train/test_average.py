"""Weights between those of a run and those that it began with."""

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
from train.average import Start, average_with
from train.history import load_best, read_about
from train.publish import publish
from train.students.registry import build_student


@pytest.fixture(scope="module")
def chain(pairs: list[Pair], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    folder = tmp_path_factory.mktemp("runs")
    first = run_once(pairs, folder / "first", "v4", epochs=1, small_epochs=0)
    second = run_once(pairs, folder / "second", "v4", epochs=1, small_epochs=0, seed=7, start_from=first)
    return first, second, run_once(pairs, folder / "third", "v4", epochs=1, small_epochs=0, seed=8, start_from=second)


@pytest.fixture(scope="module")
def runs(chain: tuple[Path, Path, Path]) -> tuple[Path, Path]:
    return chain[:2]


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "best.pt", weights_only=True)["student"]
    return state


def test_an_average_lies_where_its_share_says(runs: tuple[Path, Path]) -> None:
    first, second = runs
    student = build_student("v4")
    load_best(student, second)
    average_with(student, [Start(first, 0.25)], read_about(second))
    begun, ended = weights(first), weights(second)
    moved = 0.0
    for name, value in student.state_dict().items():
        if value.is_floating_point():  # running means and variances among them
            assert torch.allclose(value, 0.25 * begun[name] + 0.75 * ended[name], atol=1e-6), name
            moved += float((begun[name] - ended[name]).abs().sum())
    assert moved > 0


def test_what_a_start_began_with_joins_too(
    chain: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = chain
    student = build_student("v4")
    load_best(student, third)
    average_with(student, [Start(second, 0.25), Start(first, 0.5)], read_about(third))
    parts = (weights(third), 0.25), (weights(second), 0.25), (weights(first), 0.5)
    for name, value in student.state_dict().items():
        if value.is_floating_point():
            assert torch.allclose(value, sum(share * state[name] for state, share in parts), atol=1e-6), name
    monkeypatch.setattr("train.publish.doubt", lambda history: None)
    made = publish(third, "of-three", tmp_path, [Start(second, 0.25), Start(first, 0.5)])
    training = read_training(made.with_suffix(".json"))
    assert [start["share"] for start in training["averaged_with"]] == [0.25, 0.5]
    assert training["started_from"]["started_from"]["best_pt_sha256"] == sha256_of(first / "best.pt")
    with pytest.raises(InputError, match="allowed: the run that it was started from"):
        average_with(student, [Start(first, 0.25), Start(second, 0.5)], read_about(third))
    with pytest.raises(InputError, match=r"leave 0 for the run itself \(allowed: between 0 and 1\)"):
        average_with(student, [Start(second, 0.5), Start(first, 0.5)], read_about(third))


def test_what_is_published_is_the_average_and_its_sidecar_says_so(
    runs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = runs
    monkeypatch.setattr("train.publish.doubt", lambda history: None)  # two batches teach nothing
    ended = publish(second, "ended", tmp_path)
    half = publish(second, "half", tmp_path, [Start(first, 0.5)])
    again = publish(second, "again", tmp_path, [Start(first, 0.5)])
    assert load_model(half).sha256 == load_model(again).sha256 != load_model(ended).sha256
    assert read_training(half.with_suffix(".json"))["averaged_with"] == [
        {"best_pt_sha256": sha256_of(first / "best.pt"), "share": 0.5},
    ]  # fmt: skip
    assert "averaged_with" not in read_training(ended.with_suffix(".json"))
    notes = json.loads((tmp_path / "tiny" / "registry.json").read_text())
    assert "averaged with 0.5 of the weights that it began with" in json.dumps(notes)


def test_another_look_takes_the_weights_of_the_run(
    runs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = runs
    monkeypatch.setattr("train.publish.doubt", lambda history: None)
    finer = publish(first, "finer", tmp_path, student="v5")
    training = read_training(finer.with_suffix(".json"))
    assert training["trained_as"] == "v4" and training["param_count"] == 298_292
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
        Start(tmp_path, share)


def test_shares_of_nothing_are_no_average(runs: tuple[Path, Path]) -> None:
    first, second = runs
    with pytest.raises(InputError, match=r"leave 1 for the run itself \(allowed: between 0 and 1\)"):
        average_with(build_student("v4"), [Start(first, 0.0)], read_about(second))


def test_only_its_own_start_is_averaged_with_a_run(runs: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = runs
    student = build_student("v4")
    before = {name: value.clone() for name, value in student.state_dict().items()}
    with pytest.raises(InputError, match="the run began from scratch"):
        average_with(student, [Start(second, 0.5)], read_about(first))
    with pytest.raises(InputError, match="allowed: the run that it was started from"):
        average_with(student, [Start(second, 0.5)], read_about(second))
    with pytest.raises(InputError, match="allowed: a run with one"):
        average_with(student, [Start(tmp_path / "none", 0.5)], read_about(second))
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())
