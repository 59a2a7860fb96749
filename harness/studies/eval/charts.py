"""An evaluation's curves as charts of a page or a notebook."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.metrics.base import THRESHOLDS
from harness.pages.charts import Chart, Line, line_chart
from harness.studies.eval.result import ArmResult, Evaluation

STEP = 4  # of 256 thresholds


def curve_charts(evaluation: Evaluation) -> Iterator[Chart]:
    """Per split: precision over recall, and F over the threshold, averaged over images, a line an arm."""
    for split in evaluation.asked:
        arms = [result for result in evaluation.results if result.split == split]
        means = [(result, result.sums.means()) for result in arms]
        precision = [_line(arm, mean["recall_curve"], mean["precision_curve"], arms) for arm, mean in means]
        yield line_chart(f"{split}, averaged over images", "recall", "precision", precision)
        f_measure = [_line(arm, THRESHOLDS, mean["f_curve"], arms) for arm, mean in means]
        yield line_chart(f"{split}, mean F curve", "threshold", "F (beta² 0.3)", f_measure)


def arm_name(result: ArmResult) -> str:
    """A model, with its working size and distortion where there are some."""
    parts = [result.model, result.working_size, result.distortion]
    return " ".join(part for part in parts if part not in ("-", "none"))


def _line(arm: ArmResult, across: np.ndarray, up: np.ndarray, arms: list[ArmResult]) -> Line:
    points = [(float(x), float(y)) for x, y in zip(across[::STEP], up[::STEP], strict=True)]
    return arm_name(arm), arms.index(arm), points
