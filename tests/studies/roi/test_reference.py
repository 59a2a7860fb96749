"""Regions for clips that nobody annotated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import InputError
from harness.jobs.executors import SerialExecutor
from harness.models.sources import CentrePrior, Mapper
from harness.models.working_size import WorkingSize
from harness.studies.roi.plan import REFERENCE, SweepPlan
from harness.studies.roi.reference import clips_with_regions
from harness.studies.roi.sweep import measurable, sweep
from tests.helpers import ROOT
from tests.helpers.clips import write_clip

MODEL = str(ROOT / "model/tiny/mobilesal_placeholder_v0.onnx")


def test_regions_are_kept_and_an_empty_one_is_found_before_any_encode(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "street.y4m", frames=1, size=(320, 192))
    (pair,) = clips_with_regions([video], CentrePrior(), WorkingSize.parse("64"), tmp_path / "regions")
    before = [(path.name, path.stat().st_mtime_ns) for path in pair.masks.iterdir()]
    (again,) = clips_with_regions([video], CentrePrior(), WorkingSize.parse("64"), tmp_path / "regions")
    assert again == pair and [(path.name, path.stat().st_mtime_ns) for path in again.masks.iterdir()] == before
    empty = clips_with_regions([video], Nothing(), WorkingSize.parse("64"), tmp_path / "empty")
    plan = SweepPlan((MODEL,), region=REFERENCE)
    assert measurable(empty, plan) == (
        [],
        {"street": "its reference finds no region above 0.5 in 1 frames (name another)"},
    )
    with pytest.raises(InputError, match="clip street cannot be measured: its reference finds no region"):
        sweep(empty, plan, SerialExecutor)
    with pytest.raises(InputError, match="two videos are called 'street'"):
        clips_with_regions([video, video], CentrePrior(), WorkingSize.parse("64"), tmp_path / "regions")


class Nothing(CentrePrior):
    """A source that finds no picture salient."""

    def __init__(self) -> None:
        super().__init__("nothing", "0")

    def open(self, threads: int) -> Mapper:
        return lambda name, rgb, working: np.zeros(rgb.shape[:2], np.float32)
