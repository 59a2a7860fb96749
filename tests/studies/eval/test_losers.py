"""The images where one model falls furthest behind another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from corpora.loader import load_pairs
from corpora.synth import ImageOptions, write_images
from harness.models.sources import find_source
from harness.models.working_size import WorkingSize
from harness.studies.eval.losers import losers, pr_curves, strips
from harness.studies.eval.run import evaluate_pairs
from tests.helpers.models import write_student


def test_the_worst_come_first_and_are_shown(tmp_path: Path) -> None:
    write_images(tmp_path, ImageOptions(8, (64, 48)))
    pairs = load_pairs("synth", tmp_path)
    paths = [str(write_student(tmp_path / f"{name}.onnx", gain)) for name, gain in (("good", 2.0), ("bad", -2.0))]
    done = evaluate_pairs(paths, {"synth": pairs})
    first, second = done.results
    worst = losers(first, second, count=3)
    gains = second.rows["iou@0.5"] - first.rows["iou@0.5"]
    assert list(worst["gain"]) == pytest.approx(sorted(gains)[:3]) and (worst["gain"] < 0).all()
    assert {"good iou@0.5", "bad mae"} <= set(worst)
    curves = pr_curves(done)
    assert set(curves["model"]) == {"good", "bad"} and len(curves) == 2 * 64
    chosen = [pair for pair in pairs if pair.name in set(worst["image"])]
    shown = strips(chosen, [find_source(path) for path in paths], WorkingSize(), tmp_path / "out", "synth")
    assert shown["caption"].iloc[0] == f"synth {chosen[0].name}: picture, mask, good, bad"
    with Image.open(tmp_path / "out" / shown["file"].iloc[0]) as strip:
        assert strip.height == 160 and np.asarray(strip).std() > 0


def test_no_loss_is_no_row(tmp_path: Path) -> None:
    write_images(tmp_path, ImageOptions(4, (64, 48)))
    done = evaluate_pairs(["centre-prior"], {"synth": load_pairs("synth", tmp_path)})
    assert losers(done.results[0], done.results[0]).empty
    assert strips([], [], WorkingSize(), tmp_path / "out", "synth").empty
