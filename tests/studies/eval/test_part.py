"""An evaluation in parts: any process gives the same numbers, and what is measured stays measured."""

from __future__ import annotations

import dataclasses
import os
import signal

import pandas as pd
import pytest

from corpora.loader import pairs_in
from harness.errors import HarnessError
from harness.jobs import open_executor
from harness.jobs.pools import process_pool
from harness.jobs.provenance import made_by
from harness.models import session
from harness.models.sources import ModelSource
from harness.models.working_size import WorkingSize
from harness.saliency.distort import Distortion
from harness.studies.eval import run as workflow
from harness.studies.eval.options import EvalOptions
from harness.studies.eval.run import evaluate_pairs
from tests.helpers.discs import IMAGES, copied, measuring


@pytest.mark.slow
def test_processes_and_parts_give_the_numbers_of_one_process(folder, pairs, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(workflow, "CHUNK", 2)
    models = [str(folder / "model.onnx"), "centre-prior"]
    alone = evaluate_pairs(models, pairs)
    shared = evaluate_pairs(models, pairs, workers=2, store=tmp_path)
    again = evaluate_pairs(models, pairs, store=tmp_path)
    assert len(list(tmp_path.rglob("*.json"))) == 3 * len(models)
    for other in (shared, again):
        pd.testing.assert_frame_equal(other.table(), alone.table(), check_exact=True)
        pd.testing.assert_frame_equal(other.rows, alone.rows, check_exact=True)
    assert alone.table()["images"].tolist() == [f"{IMAGES}/{IMAGES}"] * 2


def test_a_further_arm_leaves_what_is_measured_alone(folder, pairs, tmp_path, monkeypatch) -> None:
    model = str(folder / "model.onnx")
    drifted = EvalOptions(distortions=(Distortion("jpeg", 50),))
    evaluate_pairs([model], pairs, store=tmp_path)
    both = evaluate_pairs([model, "centre-prior"], pairs, drifted, store=tmp_path)
    pd.testing.assert_frame_equal(both.table(), evaluate_pairs([model, "centre-prior"], pairs, drifted).table())
    assert len(list(tmp_path.rglob("*.json"))) == 3

    opened = []
    monkeypatch.setattr(ModelSource, "open", lambda source, threads: opened.append(source))
    evaluate_pairs([model], pairs, drifted, store=tmp_path)
    assert not opened, "all is measured already"


def test_a_source_is_opened_once_for_all_its_arms(folder, pairs, monkeypatch) -> None:
    opened, whole = [], ModelSource.open
    monkeypatch.setattr(ModelSource, "open", lambda source, threads: opened.append(source) or whole(source, threads))
    evaluate_pairs(
        [str(folder / "model.onnx")], pairs, EvalOptions(tuple(map(WorkingSize.parse, ("16", "24", "native"))))
    )
    assert len(opened) == 1


def test_a_killed_run_measures_only_what_is_left(folder, pairs, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(workflow, "CHUNK", 2)
    model = [str(folder / "model.onnx")]
    whole = evaluate_pairs(model, pairs)

    def killed(done: int, total: int) -> None:
        if done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_pairs(model, pairs, store=tmp_path, progress=killed)
    measured = measuring(monkeypatch)
    resumed = evaluate_pairs(model, pairs, store=tmp_path)
    assert measured == ["02", "03", "04"]
    pd.testing.assert_frame_equal(resumed.table(), whole.table(), check_exact=True)


@pytest.mark.parametrize("changed", [{"versions": {}}, {"code": "other"}], ids=["libraries", "code"])
def test_parts_of_other_libraries_or_code_are_measured_again(pairs, tmp_path, monkeypatch, changed) -> None:
    evaluate_pairs(["centre-prior"], pairs, store=tmp_path)
    measured = measuring(monkeypatch)
    evaluate_pairs(["centre-prior"], pairs, store=tmp_path)
    assert not measured
    monkeypatch.setattr("harness.jobs.job.made_by", lambda module: {**made_by(module), **changed})
    evaluate_pairs(["centre-prior"], pairs, store=tmp_path)
    assert len(measured) == IMAGES


def test_parts_of_more_images_and_of_a_set_that_moved_are_not_measured_again(
    folder, pairs, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(workflow, "CHUNK", 2)
    evaluate_pairs(["centre-prior"], pairs, store=tmp_path / "store", limit=4)
    root = copied(folder, tmp_path)
    measured = measuring(monkeypatch)
    evaluate_pairs(["centre-prior"], {"discs": pairs_in(root / "images", root / "masks")}, store=tmp_path / "store")
    assert measured == ["04"]


def test_an_altered_part_is_measured_again_with_a_word(pairs, tmp_path, monkeypatch, caplog) -> None:
    whole = evaluate_pairs(["centre-prior"], pairs, store=tmp_path)
    (path,) = tmp_path.rglob("*.json")
    path.write_bytes(path.read_bytes().replace(b'"images":5', b'"images":7'))
    measured = measuring(monkeypatch)
    again = evaluate_pairs(["centre-prior"], pairs, store=tmp_path)
    assert len(measured) == IMAGES and "was altered" in caplog.text
    pd.testing.assert_frame_equal(again.table(), whole.table(), check_exact=True)


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["local:1", "local:2"])
def test_any_executor_gives_the_numbers_of_this_process(folder, pairs, monkeypatch, executor: str) -> None:
    monkeypatch.setattr(workflow, "CHUNK", 2)
    models = [str(folder / "model.onnx"), "centre-prior"]
    elsewhere = evaluate_pairs(models, pairs, executor=lambda: open_executor(executor))
    pd.testing.assert_frame_equal(elsewhere.rows, evaluate_pairs(models, pairs).rows, check_exact=True)


@dataclasses.dataclass(frozen=True)
class Deadly:
    """A source whose first map ends the process."""

    name: str = "deadly"
    digest: str = ""
    sees: bool = False

    def open(self, threads: int):
        return lambda name, rgb, working: os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_worker_that_dies_is_said_in_one_line(pairs) -> None:
    with pytest.raises(HarnessError, match=r"part:measure .* lost its worker 3 times \(out of memory\?\)"):
        evaluate_pairs([Deadly()], pairs, workers=2)


def opened_by(jobs: list) -> int:
    """How often a process opened a model for these jobs."""
    for job in jobs:
        job.run()
    return session._opened.cache_info().misses


@pytest.mark.slow
def test_a_worker_opens_a_model_once_for_all_its_parts(folder, pairs, monkeypatch) -> None:
    monkeypatch.setattr(workflow, "CHUNK", 2)
    jobs = []
    real = workflow.stream_jobs

    def heard(given, *more, **named):
        jobs.extend(given)
        return real(given, *more, **named)

    monkeypatch.setattr(workflow, "stream_jobs", heard)
    evaluate_pairs([str(folder / "model.onnx")], pairs)
    assert len(jobs) == 3
    with process_pool(1) as pool:
        assert pool.submit(opened_by, jobs).result() == 1
