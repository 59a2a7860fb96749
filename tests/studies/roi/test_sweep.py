"""The sweep: all arms on real encodes, the same rows from every executor, only missing jobs computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from corpora.loader import ClipPair
from harness.errors import HarnessError, InputError
from harness.jobs import Store, open_executor
from harness.jobs.executors import SerialExecutor
from harness.roi.encoders import ENCODERS, find_encoder
from harness.studies.roi.plan import METRICS, SweepPlan, models_of
from harness.studies.roi.sheets import write_sheets
from harness.studies.roi.sweep import sweep
from harness.studies.roi.tables import bd_rates, summary
from tests.helpers import ROOT
from tests.helpers.roi import draw_clip

pytestmark = pytest.mark.slow
MODEL = str(ROOT / "model/tiny/mobilesal_placeholder_v0.onnx")
PLAN = SweepPlan((MODEL,), preset="ultrafast")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[ClipPair]:
    """Two clips of a textured square that drifts over another texture, with its exact masks."""
    root = tmp_path_factory.mktemp("clips")
    return [draw_clip(root, name, seed) for seed, name in enumerate(("first", "second"))]


@pytest.fixture(scope="module")
def rows(clips: list[ClipPair], tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return sweep(clips, PLAN, SerialExecutor, Store(tmp_path_factory.mktemp("store")))


def test_every_arm_is_measured_at_every_crf(rows: pd.DataFrame) -> None:
    arms = {"plain", "mobilesal_placeholder_v0", "centre-prior", "oracle", "shuffled"}
    assert set(rows["arm"]) == arms and len(rows) == 2 * len(arms) * 4
    assert rows[list(METRICS)].notna().all().all()
    plain = rows[(rows["arm"] == "plain") & (rows["clip"] == "first")].sort_values("crf")
    assert (plain["bytes"].diff().dropna() < 0).all() and (plain["psnr_y"].diff().dropna() < 0).all()


def test_the_oracle_saves_bits_inside_the_mask_and_costs_them_over_the_frame(rows: pd.DataFrame) -> None:
    rates = bd_rates(rows)
    oracle = rates[rates["arm"] == "oracle"].set_index(["clip", "metric"])["bd_rate"]
    assert (oracle[:, "psnr_y@mask"].dropna() < 0).all() and oracle[:, "psnr_y@mask"].notna().any()
    assert (oracle[:, "psnr_y"].dropna() > 0).all() and oracle[:, "psnr_y"].notna().any()
    table = summary(rates)
    assert set(table["arm"]) == set(rows["arm"]) - {"plain"}
    assert (table["clips"] + table["undefined"] == 2).all()


def test_processes_give_identical_rows_and_a_rerun_computes_nothing(
    clips: list[ClipPair], tmp_path: Path, rows: pd.DataFrame
) -> None:
    heard: list[tuple[int, int]] = []
    again = sweep(clips[:1], PLAN, lambda: open_executor("local:2"), Store(tmp_path))
    wanted = rows[(rows["clip"] == "first") & (rows["arm"] != "shuffled")].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, wanted)
    sweep(clips[:1], PLAN, SerialExecutor, Store(tmp_path), lambda *both: heard.append(both))
    assert heard == [(4, 4)]


def test_curves_and_sheets_are_drawn(clips: list[ClipPair], tmp_path: Path, rows: pd.DataFrame) -> None:
    written = write_sheets(clips, PLAN, rows, bd_rates(rows), tmp_path, "small")
    names = ["small_rd_libx264_4.png", "small_sheet_first.png", "small_sheet_second.png"]
    assert [path.name for path in written] == names
    for path in written:
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 20


def test_plans_that_cannot_answer_are_refused() -> None:
    with pytest.raises(InputError, match="3 CRFs"):
        SweepPlan((MODEL,), crfs=(20, 30, 40))
    with pytest.raises(InputError, match="cannot be steered"):
        SweepPlan((MODEL,), encoders=("libaom-av1",))
    with pytest.raises(InputError, match="no model"):
        SweepPlan(())
    with pytest.raises(InputError, match=r"4\.0 twice among the strengths"):
        SweepPlan((MODEL,), strengths=(4.0, 2.0, 4.0))
    with pytest.raises(InputError, match="centre-prior is no model"):
        models_of(SweepPlan((MODEL, "centre-prior")))
    with pytest.raises(InputError, match="two models are called mobilesal_placeholder_v0"):
        models_of(SweepPlan((MODEL, "mobilesal_placeholder_v0")))


def test_an_encoder_that_ignores_maps_is_found_out(
    clips: list[ClipPair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = replace(find_encoder("libx264"), translate=lambda settings: {"preset": "ultrafast", "aq-mode": "0"})
    monkeypatch.setitem(ENCODERS, "libx264", deaf)
    with pytest.raises(HarnessError, match="libx264 does not follow a map"):
        sweep(clips[:1], PLAN, SerialExecutor, Store(tmp_path))
    monkeypatch.setattr("harness.studies.roi.sweep.probe", lambda *asked: None)
    with pytest.raises(HarnessError, match="libx264 ignored the map: mobilesal_placeholder_v0 on first"):
        sweep(clips[:1], PLAN, SerialExecutor, Store(tmp_path))
