"""A run that cannot have learnt is not published."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from corpora.loader import pairs_in
from harness.errors import InputError
from tests.helpers.runs import about
from train.data import decoded_set
from train.learnt import doubt


def history(*rows: tuple[float, float]) -> list[SimpleNamespace]:
    return [SimpleNamespace(loss=loss, selected_by=iou) for loss, iou in rows]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(0.7, 0.2), (0.5, 0.6)], None),
        ([(0.7, 0.2)], None),
        ([(0.7, -1.0), (0.5, -1.0)], None),  # not validated yet
        ([(0.3, 1.0), (0.1, 1.0)], "exactly 1"),
        ([(0.7, 0.0), (0.6, 1e-9)], "is 0 in every epoch"),
        ([(0.693147, 0.3), (0.693147, 0.3)], "never moved: 0.693147 in all of 2 epochs"),
    ],
)
def test_what_cannot_be_is_said(rows: list[tuple[float, float]], said: str | None) -> None:
    found = doubt(history(*rows))
    assert found is None if said is None else said in str(found)


def test_such_a_run_is_not_published(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    from train.publish import publish

    facts = {"epoch": 1, "loss": 0.1, "val_iou": 1.0, "val_iou_per_image": 1.0}
    rest = {"lr": 0.001, "images_per_second": 1.0, "seconds": 1.0}
    (tmp_path / "run.json").write_text(json.dumps(about()))
    (tmp_path / "history.jsonl").write_text(json.dumps(facts | rest) + "\n")
    with pytest.raises(InputError, match=r"cannot have learnt: its IoU on the fold is exactly 1"):
        publish(tmp_path, "saliency_student_x", tmp_path / "model")


def test_an_id_that_is_none_is_refused_before_the_run_is_read(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    from train.publish import publish

    with pytest.raises(InputError, match="model id 'BAD'"):
        publish(tmp_path, "BAD", tmp_path / "model")
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(("level", "missing"), [(0, "foreground"), (255, "background")])
def test_masks_without_an_object_are_refused_before_training(
    level: int, missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    for kind, value in (("images", 99), ("masks", level)):
        (tmp_path / kind).mkdir()
        for number in range(3):
            Image.fromarray(np.full((20, 30), value, np.uint8)).save(tmp_path / kind / f"{number}.png")
    with pytest.raises(InputError, match=rf"none of 3 masks has {missing}, the first is .*0\.png"):
        decoded_set(pairs_in(tmp_path / "images", tmp_path / "masks"), 16, tmp_path / "cache")
