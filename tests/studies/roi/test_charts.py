"""Charts of a sweep's tables: what differs gets a line or a chart of its own."""

from __future__ import annotations

import pandas as pd

from harness.studies.roi.charts import cost_charts, rate_charts
from harness.tables import Table


def points(encoders: list[str], laws: list[str]) -> Table:
    """Two rates of one clip: plain, and one arm under each law."""
    arms = [("plain", None, None), *(("v3", 4.0, law) for law in laws)]
    rows = [
        {"clip": "dog", "encoder": encoder, "arm": arm, "strength": strength, "law": law}
        | {"kbps": kbps, "psnr_y@reference": kbps / 10}
        for encoder in encoders
        for arm, strength, law in arms
        for kbps in (100.0, 200.0)
    ]
    return Table("roi.at_cost_points", "p", "Points", pd.DataFrame(rows), "harness")


def test_several_laws_are_several_lines_and_several_encoders_several_charts() -> None:
    (chart,) = rate_charts(points(["libx264"], ["map", "centre:0.5"]))
    assert [name for name, _, _ in chart.lines] == ["plain", "v3 map", "v3 centre:0.5"]
    found = list(rate_charts(points(["libx264", "libx265"], ["map"])))
    assert [chart.title for chart in found] == ["dog, libx264", "dog, libx265"]
    assert [name for name, _, _ in found[0].lines] == ["plain", "v3"]
    assert {chart.y_label for chart in found} == {"psnr_y@reference"}


def test_gains_under_several_laws_are_not_averaged_together() -> None:
    rows = [
        {"clip": "dog", "arm": "v3", "law": law, "cost": "vmaf", "budget_%": budget, "gain_%": gain + budget}
        for law, gain in (("map", 10.0), ("centre:0.5", 20.0))
        for budget in (0.0, 1.0)
    ]
    (chart,) = cost_charts(Table("roi.at_cost_by_clip", "c", "Gains", pd.DataFrame(rows), "harness"))
    assert [name for name, _, _ in chart.lines] == ["v3 map", "v3 centre:0.5"]
