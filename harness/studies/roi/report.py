"""A sweep on disk: its tables, its pictures, and a page of both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.pages.page import picture, write_study
from harness.studies.roi.charts import cost_charts, rate_charts
from harness.studies.roi.run import Swept
from harness.studies.roi.sheets import write_sheets
from harness.studies.roi.tables import bd_rates
from harness.tables import Table, write_table

COST, POINTS = "roi.at_cost_by_clip", ("roi.points", "roi.at_cost_points")


def write_sweep(found: Swept | Sequence[Table], folder: Path) -> list[Path]:
    """Write a sweep's tables, pictures, and a page that shows them.

    Args:
        found: What `roi_sweep` or `roi_at_cost` found.
        folder: Where; files of the same names are replaced.

    Returns:
        The paths of all. Equal sweeps give equal pages and pictures, and tables that differ in when they were written.

    Raises:
        InputError: The folder cannot be written.
    """
    tables = found.tables if isinstance(found, Swept) else tuple(found)
    written = [path for table in tables for path in write_table(table, folder)]
    sheets = []
    if isinstance(found, Swept):
        sheets = write_sheets(found.clips, found.plan, found.rows, bd_rates(found.rows), folder, found.name)
    charts = {
        "What steering buys at equal cost": [
            one for table in tables if table.kind == COST for one in cost_charts(table)
        ],
        "Rate and quality": [one for table in tables if table.kind in POINTS for one in rate_charts(table)],
    }
    pictures = [picture(path, path.stem.replace("_", " ")) for path in sheets if "_sheet_" in path.name]
    page = write_study(folder / f"{tables[0].name}.html", tables[0].title, tables, charts, pictures)
    return [*written, *sheets, page]
