"""Charts of tables of a sweep: rate against quality, and gain against cost."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from harness.pages.charts import Chart, line_chart
from harness.tables import Table

QUALITY = "psnr_y@"  # of the region, be it a mask or a reference


def rate_charts(table: Table) -> Iterable[Chart]:
    """One chart per clip and encoder; rows are `{clip, arm, strength, kbps, <quality>}`; each arm at its median
    strength."""
    quality = next(str(name) for name in table.rows if str(name).startswith(QUALITY))
    arms = _arms(table.rows)
    several = table.rows["encoder"].nunique() > 1 if "encoder" in table.rows else False
    for names, rows in table.rows.groupby(["clip", "encoder"] if several else ["clip"], sort=False):
        lines = []
        for number, arm in enumerate(arms.unique()):
            own = rows[arms[rows.index] == arm]
            strengths = sorted(own["strength"].dropna().unique())
            if strengths:
                own = own[own["strength"] == strengths[len(strengths) // 2]]
            if len(own):
                own = own.sort_values("kbps")
                lines.append((str(arm), number, list(zip(own["kbps"], own[quality], strict=True))))
        yield line_chart(", ".join(map(str, names)), "kbit/s", quality, lines)


def cost_charts(table: Table) -> Iterable[Chart]:
    """One chart per whole-frame quality: mean gain over clips against what it costs, arm by arm."""
    named = table.rows.assign(arm=_arms(table.rows))
    for cost, rows in named.groupby("cost", sort=False):
        mean = rows.groupby(["arm", "budget_%"], sort=False)["gain_%"].mean().reset_index()
        lines = [
            (str(arm), number, list(zip(own["budget_%"], own["gain_%"], strict=True)))
            for number, (arm, own) in enumerate(mean.groupby("arm", sort=False))
            if len(own) > 1 and own["gain_%"].notna().all()
        ]
        if lines:
            yield line_chart("What steering buys at equal cost", f"cost in {cost}, % of bits", "gain, % of bits", lines)


def _arms(rows: pd.DataFrame) -> pd.Series:
    """Every row's arm, with the law that it was steered by where there are several."""
    if "law" not in rows or rows["law"].replace("", None).nunique() < 2:
        return rows["arm"]
    laws = rows["law"].fillna("").astype(str)
    return rows["arm"].where(laws == "", rows["arm"].astype(str) + " " + laws)
