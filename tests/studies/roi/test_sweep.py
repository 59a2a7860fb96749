"""The sweep: all arms on real encodes, the same rows from every executor, only missing jobs computed."""

from __future__ import annotations

import subprocess
import sys
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
from harness.models.sources import CentrePrior, Mapper
from harness.models.working_size import WorkingSize
from harness.roi.encoders import find_encoder
from harness.studies.roi.reference import clips_with_regions
from harness.studies.roi.sheets import write_sheets
from harness.studies.roi.sweep import METRICS, SweepPlan, bd_rates, models_of, summary, sweep
from harness.tables import read_table
from tests.helpers import ROOT
from tests.helpers.clips import write_clip

MODEL = str(ROOT / "model/tiny/mobilesal_placeholder_v0.onnx")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[ClipPair]:
    """Two clips of a textured square that drifts over another texture, with its exact masks."""
    root = tmp_path_factory.mktemp("clips")
    return [_draw(root, name, seed) for seed, name in enumerate(("first", "second"))]


def _draw(root: Path, name: str, seed: int) -> ClipPair:
    rng = np.random.default_rng(seed)
    pair = ClipPair(name, root / "frames" / name, root / "masks" / name)
    pair.frames.mkdir(parents=True)
    pair.masks.mkdir(parents=True)
    texture = rng.integers(0, 255, (24, 40, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    grain = rng.integers(0, 60, texture.shape).astype(np.uint8)
    for index in range(2):
        picture, mask = texture // 2 + grain, np.zeros(texture.shape[:2], np.uint8)
        mask[64:128, 96 + 4 * index : 160 + 4 * index] = 255
        picture[mask > 0] = 255 - picture[mask > 0]
        Image.fromarray(picture).save(pair.frames / f"{index:05d}.png")
        Image.fromarray(mask).save(pair.masks / f"{index:05d}.png")
    return pair


PLAN = SweepPlan((MODEL,), preset="ultrafast")


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
    monkeypatch.setattr("harness.studies.roi.sweep.find_encoder", lambda name: deaf)
    with pytest.raises(HarnessError, match="libx264 does not follow a map"):
        sweep(clips[:1], PLAN, SerialExecutor, Store(tmp_path))
    monkeypatch.setattr("harness.studies.roi.sweep.probe", lambda *asked: None)
    with pytest.raises(HarnessError, match="libx264 ignored the map: mobilesal_placeholder_v0 on first"):
        sweep(clips[:1], PLAN, SerialExecutor, Store(tmp_path))


def test_a_clip_without_masks_is_judged_by_the_model_that_the_user_names(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "street.y4m", frames=2, size=(320, 192))
    asked = ["--model", MODEL, "--video", str(video), "--preset", "ultrafast", "--working-size", "64"]
    asked += ["--store", str(tmp_path / "jobs"), "--out", str(tmp_path / "out"), "--executor", "local:1"]
    assert "--video has no masks: name an independent --reference model" in refused(*asked)
    assert "the masks of davis-2016 are its region" in refused("--model", MODEL, "--reference", MODEL)
    done = roi_sweep(*asked, "--reference", "centre-prior")
    assert done.returncode == 0, done.stderr
    table = read_table(tmp_path / "out" / "sweep_bdrate.csv")
    assert {"psnr_y@reference", "vmaf@reference", "psnr_y"} < set(table.rows["metric"])
    assert not table.rows["metric"].str.contains("mask").any()
    assert "where centre-prior says > 0.5, which steers too: its arm is flattered" in table.notes[3]
    assert "low" not in table.rows or table.rows["low"].isna().all()
    (masks,) = (tmp_path / "jobs" / "regions").iterdir()
    written = [np.asarray(Image.open(path)) for path in sorted(masks.iterdir())]
    assert len(written) == 2 and written[0].shape == (192, 320)
    assert written[0][96, 160] == 255 and written[0][0, 0] == 0
    assert roi_sweep(*asked, "--reference", MODEL).returncode == 0
    table = read_table(tmp_path / "out" / "sweep_bdrate.csv")
    assert "where mobilesal_placeholder_v0 says > 0.5, which steers too" in table.notes[3]


def roi_sweep(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "harness", "roi-sweep", *options], capture_output=True, text=True)


def refused(*options: str) -> str:
    done = roi_sweep(*options)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    return done.stderr


def test_regions_are_kept_and_an_empty_one_is_refused(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "street.y4m", frames=1, size=(320, 192))
    (pair,) = clips_with_regions([video], CentrePrior(), WorkingSize.parse("64"), tmp_path / "regions")
    before = [(path.name, path.stat().st_mtime_ns) for path in pair.masks.iterdir()]
    (again,) = clips_with_regions([video], CentrePrior(), WorkingSize.parse("64"), tmp_path / "regions")
    assert again == pair and [(path.name, path.stat().st_mtime_ns) for path in again.masks.iterdir()] == before
    with pytest.raises(InputError, match=r"nothing finds no region above 0\.5"):
        clips_with_regions([video], Nothing(), WorkingSize.parse("64"), tmp_path / "empty")
    assert not list((tmp_path / "empty").iterdir())
    with pytest.raises(InputError, match="two videos are called 'street'"):
        clips_with_regions([video, video], CentrePrior(), WorkingSize.parse("64"), tmp_path / "regions")


class Nothing(CentrePrior):
    """A source that finds no picture salient."""

    def __init__(self) -> None:
        super().__init__("nothing", "0")

    def open(self, threads: int) -> Mapper:
        return lambda name, rgb, working: np.zeros(rgb.shape[:2], np.float32)
