"""Tables of a sweep: means over few clips with Student's t, and paired differences to the centre prior."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from harness.models.sources import CENTRE_PRIOR
from harness.studies.roi.plan import SweepPlan
from harness.studies.roi.tables import summary, sweep_tables
from harness.tables import Code


def rates_of(**arms: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {"clip": f"clip{place}", "encoder": "libx264", "arm": arm.replace("_", "-"), "strength": 4.0, "bd_rate": value}
        | {"metric": "psnr_y@mask", "reason": ""}
        for arm, values in arms.items()
        for place, value in enumerate(values)
    )


def test_few_clips_have_students_t_and_a_p_value() -> None:
    rng = np.random.default_rng(0)
    mine, prior = rng.normal(-20, 5, 7), rng.normal(-17, 4, 7)
    table = summary(rates_of(mine=list(mine), centre_prior=list(prior))).set_index("arm")
    low, high = stats.t.interval(0.95, 6, mine.mean(), stats.sem(mine))
    assert table.loc["mine", ["low", "high"]].tolist() == pytest.approx([low, high])
    assert table.loc["mine", "vs_centre_prior"] == pytest.approx((mine - prior).mean())
    assert table.loc["mine", "vs_p"] == pytest.approx(stats.ttest_rel(mine, prior).pvalue)
    assert np.isnan(table.loc[CENTRE_PRIOR, "vs_p"])


def test_undefined_rates_are_counted_and_left_out_of_pairs() -> None:
    nan = float("nan")
    table = summary(rates_of(mine=[-2.0, nan, -6.0, -4.0], centre_prior=[-1.0, -9.0, nan, -3.0])).set_index("arm")
    assert table.loc["mine", ["clips", "undefined", "bd_rate_%"]].tolist() == [3, 1, -4.0]
    assert table.loc["mine", "vs_centre_prior"] == -1.0


def test_tables_say_what_was_read_and_what_was_not() -> None:
    rows = pd.DataFrame(
        {"clip": "dog", "encoder": "libx264", "arm": arm, "strength": 4.0, "crf": crf, "kbps": 900.0 / crf}
        | {"psnr_y@mask": 60.0 - crf}
        for arm in ("plain", CENTRE_PRIOR)
        for crf in (22, 27, 32, 37)
    )
    plan = SweepPlan(("saliency_student_v1",), frames=8, preset="fast")
    tables = sweep_tables(
        rows,
        plan,
        "x",
        where="inside",
        corpus="davis-2016",
        command="harness roi-sweep",
        models={"model": "abc"},
        data={"davis-2016/dog": "def"},
        code=Code("here"),
        left_out={"cat": "no masks"},
    )
    assert [(table.kind, table.name) for table in tables] == [
        ("roi.bdrate", "x_bdrate"),
        ("roi.bdrate_by_clip", "x_bdrate_by_clip"),
        ("roi.points", "x_points"),
    ]
    for table in tables:
        assert table.settings["clips"] == "1 clips (dog), the first 8 frames of each"
        assert (table.settings["corpus"], table.settings["crfs"]) == ("davis-2016", [22, 27, 32, 37])
        assert "Left out: cat (no masks)." in table.notes and table.models == {"model": "abc"}
    assert tables[1].rows["bd_rate"].tolist() == [0.0]
