"""What a study's jobs go by: content. Where it lies, how that was typed and what a model is called changes no key."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, NoReturn

import pytest
from PIL import Image

from corpora.loader import ClipPair, Pair, pairs_in
from harness.jobs import Job
from harness.models.model_file import ModelFile
from harness.models.sources import ModelSource
from harness.studies.eval.run import evaluate_pairs
from harness.studies.roi import costs
from harness.studies.roi.plan import CostPlan, SweepPlan
from harness.studies.roi.sweep import sweep
from harness.studies.score.feature import FeaturePlan, feature_rows
from harness.studies.score.ladder import LadderPlan, run_ladder
from tests.helpers import ROOT
from tests.helpers.roi import draw_clip

MODEL = ROOT / "model/tiny/mobilesal_placeholder_v0.onnx"
Study = Callable[[ClipPair, Path], object]
EXECUTOR: Callable[[], Executor] = lambda: pytest.fail("opened")  # noqa: E731
STUDIES: dict[str, Study] = {
    "eval": lambda clip, model: evaluate_pairs([str(model)], {clip.masks.name: _pairs(clip)}),
    "ladder": lambda clip, model: run_ladder(
        [clip], [ModelFile.at(model)], LadderPlan(preset="ultrafast", crfs=(40,)), EXECUTOR
    ),
    "feature": lambda clip, model: feature_rows([clip], [ModelFile.at(model)], FeaturePlan((40,), 2), EXECUTOR),
    "roi-sweep": lambda clip, model: sweep([clip, clip], SweepPlan((str(model),), preset="ultrafast"), EXECUTOR),
    "roi-sweep at cost": lambda clip, model: costs.encode_at_costs(
        [clip], CostPlan((str(model),), preset="ultrafast"), EXECUTOR
    ),
}


class _Asked(Exception):
    """The jobs that a study would run."""


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES)
def test_content_alone_decides(study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = draw_clip(tmp_path / "one", "clip", 1)
    root = shutil.copytree(tmp_path / "one", tmp_path / "other" / "two")
    moved = ClipPair("clip", *(root / path.relative_to(tmp_path / "one") for path in (clip.frames, clip.masks)))
    if study == "eval":
        moved = ClipPair("clip", moved.frames.rename(root / "pictures"), moved.masks.rename(root / "truth"))
    model = Path(shutil.copy(MODEL, tmp_path / "other" / "copy.onnx"))
    keys = _keys(study, clip, MODEL, monkeypatch)
    assert _keys(study, moved, model, monkeypatch) == keys
    monkeypatch.chdir(tmp_path)
    spelled = ClipPair("clip", *(path.relative_to(tmp_path) for path in (moved.frames, moved.masks)))
    assert _keys(study, spelled, Path("one/../other/copy.onnx"), monkeypatch) == keys
    mask = sorted(moved.masks.iterdir())[0]
    with Image.open(mask) as picture:
        changed = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    changed.save(mask)
    assert not set(_keys(study, moved, model, monkeypatch)) & set(keys)


def _keys(study: str, clip: ClipPair, model: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    def asked(jobs: Sequence[Job], *more: Any, **named: Any) -> NoReturn:
        for job in jobs:
            assert all(path.is_absolute() for path in _paths(job.call)), "a worker may start elsewhere"
        raise _Asked([job.key for job in jobs])

    for name in ("roi.sweep.run_groups", "roi.costs.run_groups", "score.ladder.run_groups", "score.feature.run_jobs"):
        monkeypatch.setattr(f"harness.studies.{name}", asked)
    monkeypatch.setattr("harness.studies.eval.run.stream_jobs", asked)
    with pytest.raises(_Asked) as told:
        STUDIES[study](clip, model)
    keys: list[str] = told.value.args[0]
    return keys


def _paths(value: Any) -> list[Path]:
    if isinstance(value, dict):
        return [path for one in value.values() for path in _paths(one)]
    if isinstance(value, list | tuple):
        return [path for one in value for path in _paths(one)]
    if isinstance(value, Pair):
        return [value.image, value.mask]
    if isinstance(value, ModelSource):
        return [value.path]
    return [Path(value)] if isinstance(value, str) and "/" in value else []


def _pairs(clip: ClipPair) -> list[Pair]:
    return pairs_in(clip.frames, clip.masks)
