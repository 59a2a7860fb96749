"""The card says how far a grey input and noise lie apart, computed from the model that it is about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from harness.models.card import card_text
from harness.models.contrast import noise_contrast
from harness.models.folders import model_folder
from harness.models.session import load_model
from tests.helpers import ROOT
from tests.helpers.models import write_graph


def test_the_contrast_is_that_of_the_maps_means(tmp_path: Path) -> None:
    """A map of a tenth of the mean size of its input: 0 on grey, a tenth of sqrt(2 / pi) on noise."""
    path = write_graph(
        tmp_path / "size.onnx",
        helper.make_node("Abs", ["input"], ["size"]),
        helper.make_node("Conv", ["size", "w"], ["mean"]),
        helper.make_node("Clip", ["mean", "low", "high"], ["saliency_map"]),
        w=np.full((1, 3, 1, 1), 1 / 30, np.float32),
        low=np.array(0, np.float32),
        high=np.array(1, np.float32),
    )
    assert noise_contrast(load_model(path)) == pytest.approx(np.sqrt(2 / np.pi) / 10, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "reached"), [("saliency_student_v1", True), ("saliency_student_v2", True), ("saliency_student_v3", False)]
)
def test_every_card_says_whether_upstreams_test_would_pass(model: str, reached: bool) -> None:
    text = card_text(model, model_folder(), ROOT / "results")
    assert "upstream's own unit test for students wants more than 0.1" in text
    assert ("which this model does not reach" in text) is not reached
    assert f"differs by {noise_contrast(load_model(model)):.3f};" in text
