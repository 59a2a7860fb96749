"""Other tools' conventions, so that a paper's table can be repeated: how maps and masks are read, what is printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import InputError


@dataclass(frozen=True)
class Tool:
    """How a tool reads maps and masks, as `EvalOptions` has it, and what it calls which of our numbers."""

    minmax: bool
    by_maximum: bool
    truth_threshold: int
    names: Mapping[str, str]


TOOLS = {
    # prepare_data of py_sod_metrics/utils.py: gt > 128, pred / 255, min-max; names of examples/test_metrics.py
    "pysodmetrics": Tool(
        True,
        False,
        128,
        {
            "Smeasure": "s_measure_mean",
            "wFmeasure": "wf_mean",
            "MAE": "mae_mean",
            "adpEm": "e_measure_adaptive",
            "meanEm": "e_measure_mean",
            "maxEm": "e_measure_max",
            "adpFm": "adpf_mean",
            "meanFm": "meanf_mean_curve",
            "maxFm": "maxf_mean_curve",
        },
    ),
    # tools/Curve_BenchCode/performCalcu.m: gt / 255 >= 0.1, maps by their maximum, F of the averaged precision and
    # recall; CalMAE.m: min-max; names of its README
    "sal-eval-toolbox": Tool(
        False,
        True,
        25,
        {
            "max F-measure": "maxf_pr_averaged",
            "mean F-measure": "adpf_mean",
            "MAE": "mae_mean",
            "S-measure": "s_measure_mean",
            "max IoU": "iou_mean@best",
        },
    ),
}


def find_tool(name: str) -> Tool:
    """The conventions of a tool; `InputError` lists those that are known.

    >>> find_tool("pysodmetrics").names["maxFm"]
    'maxf_mean_curve'
    """
    if name not in TOOLS:
        raise InputError(f"unknown tool {name!r} (allowed: {', '.join(TOOLS)})")
    return TOOLS[name]
