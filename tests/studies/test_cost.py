"""Time and memory side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import HarnessError, InputError
from harness.models.model_file import ModelFile
from harness.models.peak import peak_memory
from harness.models.registry import find_model
from harness.studies import cost
from tests.helpers.models import write_student


@pytest.fixture
def models(tmp_path: Path) -> list[ModelFile]:
    return [find_model(str(write_student(tmp_path / f"{name}.onnx"))) for name in ("a", "b")]


def test_models_take_turns_and_every_round_turns_their_order(
    models: list[ModelFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    clock = iter(range(1000))
    monkeypatch.setattr(cost.time, "perf_counter", lambda: float(next(clock)))
    maps = cost.SaliencyModel.maps
    monkeypatch.setattr(cost.SaliencyModel, "maps", lambda self, rgb: ran.append(self.name) or maps(self, rgb))
    rows = cost.times(models, [(16, 24)], 3)
    assert ran == ["a", "b", "a", "b", "b", "a", "a", "b"]  # the first two allocate
    assert list(rows["model"]) == ["a", "b"] * 3 and set(rows["size"]) == {"24x16"} and set(rows["seconds"]) == {1.0}
    assert cost.medians(rows).to_dict("records") == [
        {"size": "24x16", "model": name, "ms/frame": 1000.0} for name in ("a", "b")
    ]


@pytest.mark.slow
def test_a_larger_frame_needs_more_memory_and_the_model_alone_is_counted(models: list[ModelFile]) -> None:
    small, large = cost.memory(models[:1], (16, 16)), cost.memory(models[:1], (1080, 1920))
    assert large["peak_bytes"].item() - small["peak_bytes"].item() > 1080 * 1920 * 3 * 4
    assert small["size"].item() == "16x16"


@pytest.mark.slow
def test_nothing_to_time_and_a_file_that_does_not_load_are_refused(models: list[ModelFile], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 sizes, 0 rounds"):
        cost.times(models, [(16, 16)], 0)
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(HarnessError, match=r"measuring the memory of .*text\.onnx failed: .*not an ONNX model"):
        peak_memory(tmp_path / "text.onnx", 16, 16)
