"""The ladder on small generated clips: real encodes, resumed jobs, and tables that say what the rows say."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from corpora.loader import ClipPair
from harness.errors import HarnessError, InputError
from harness.jobs import Store, open_executor
from harness.metrics.drift import relative_drift
from harness.models.model_file import ModelFile
from harness.saliency.flicker import changes
from harness.stats import Statistics, pearson_by_group
from harness.studies.score.ladder import LadderPlan, LadderRows, encode_rows, run_ladder
from harness.studies.score.tables import ROWS, ladder_tables, model_agreement, stability
from harness.tables import read_table, table_json
from tests.helpers import VECTORS
from tests.helpers.commands import run
from tests.helpers.schemas import checked

TINY = ModelFile("tiny", VECTORS / "mobilesal_tiny.onnx")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("set")
    rng = np.random.default_rng(3)
    found = []
    for name in ("a", "b"):
        frames, masks = root / "JPEGImages/480p" / name, root / "Annotations/480p" / name
        frames.mkdir(parents=True)
        masks.mkdir(parents=True)
        background = rng.integers(60, 120, (64, 80, 3), np.uint8)
        for index in range(5):
            picture, mask = background.copy(), np.zeros((64, 80), np.uint8)
            picture[20:44, 10 + 4 * index : 34 + 4 * index] = (220, 60, 40)
            mask[20:44, 10 + 4 * index : 34 + 4 * index] = 255
            Image.fromarray(picture).save(frames / f"{index:05}.png")
            Image.fromarray(mask).save(masks / f"{index:05}.png")
        found.append(ClipPair(name, frames, masks))
    return found


@pytest.fixture(scope="module")
def rows(clips, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("jobs"))
    ladder = LadderPlan(preset="ultrafast", crfs=(20, 44), metrics=("psnr",))
    return run_ladder(clips, [TINY], ladder, lambda: open_executor("local:1"), store), store, ladder


@pytest.mark.slow
def test_rows_are_one_per_clip_encode_and_frame(rows):
    encodes, references = rows[0].encodes, rows[0].references
    assert encodes.groupby(["clip", "crf"]).size().to_dict() == {(c, q): 5 for c in "ab" for q in (20, 44)}
    assert references.groupby("clip").size().to_dict() == {"a": 5, "b": 5}
    rates = encodes.groupby("crf")["kbps"].mean()
    quality = encodes.groupby("crf")[["vmaf", "psnr_y"]].mean()
    assert rates[20] > rates[44] and (quality.loc[20] > quality.loc[44]).all()
    assert references["foreground_share"].tolist() == pytest.approx([24 * 24 / (64 * 80)] * 10)
    assert references["mask_change"].dropna().tolist() == pytest.approx([2 * 4 * 24 / (64 * 80)] * 8)
    assert encodes.notna().all().all()


@pytest.mark.slow
def test_finished_jobs_are_not_computed_again(clips, rows, monkeypatch):
    found, store, ladder = rows
    monkeypatch.setattr("harness.jobs.job.Job.run", lambda job: pytest.fail(f"{job.name} ran again"))
    again = run_ladder(clips, [TINY], ladder, lambda: open_executor("local:1"), store)
    pd.testing.assert_frame_equal(again.encodes, found.encodes)


@pytest.mark.slow
def test_a_clip_that_fails_ends_a_ladder_or_has_no_rows(clips, rows, tmp_path):
    found, store, ladder = rows
    bad = ClipPair("c", shutil.copytree(clips[0].frames, tmp_path / "c"), clips[0].masks)
    (bad.frames / "00003.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=rf"00003.png.*; \d+ of 9 jobs are kept in {store.folder}"):
        run_ladder([*clips, bad], [TINY], ladder, lambda: open_executor("local:1"), store)
    heard = {}
    again = run_ladder([bad, *clips], [TINY], ladder, lambda: open_executor("local:1"), store, None, heard.__setitem__)
    pd.testing.assert_frame_equal(again.encodes, found.encodes)
    assert list(heard) == ["c"] and again.left_out == heard and set(again.data) == {"a", "b"}
    assert all(f"Left out: c ({heard['c']})." in table.notes for table in ladder_tables(again, "harness ladder …"))
    with pytest.raises(HarnessError, match=r"none of 1 could be measured, the first is c: .*00003.png"):
        run_ladder([bad], [TINY], ladder, lambda: open_executor("local:1"), None, None, heard.__setitem__)


@pytest.mark.slow
def test_tables_state_their_convention_and_size(rows):
    made = {table.name: table for table in ladder_tables(rows[0], "harness ladder …")}
    findings = {"vmaf", "stability", "foreground", "flicker"}
    assert set(made) == {*findings, *ROWS}, "one model agrees with nobody"
    assert made["stability"].rows["frames"].tolist() == [10, 10]
    assert list(made["vmaf"].models) == ["tiny"] and all(key.startswith("clips/") for key in made["vmaf"].data)
    settings = made["vmaf"].settings
    assert settings["crf"] == "20, 44" and settings["encoder"] == "libx264 ultrafast"
    assert "2 clips, 20 frames of encodes, 10 frames of sources." in made["vmaf"].notes
    assert "Bounds over 2 clips are Student's (jackknife); one clip has none." in made["stability"].notes
    bounds = made["stability"].rows[["plcc_low", "plcc_high", "relative_drift_low", "relative_drift_high"]]
    assert bounds.notna().all(axis=None) and made["stability"].rows["plcc"].notna().all()
    drift = made["stability"].rows.set_index("crf")["relative_drift"]
    assert drift[44] > drift[20] > 0
    flat = made["foreground"].rows.iloc[0]
    assert flat["plcc"] is None, "a share that never varies correlates with nothing"


def test_stability_is_computed_against_the_same_frame():
    means = "saliency_mean@m"
    references = pd.DataFrame({"clip": ["a", "a", "b", "b"], "frame": [0, 1, 0, 1], means: [0.2, 0.4, 0.5, 0.8]})
    encodes = references.assign(crf=30)[::-1].reset_index(drop=True)
    encodes[means] *= 1.1
    (row,) = stability(LadderRows(encodes, references, ("m",))).to_dict("records")
    assert row["plcc"] == pytest.approx(1) and row["relative_drift"] == pytest.approx(0.1)
    assert row["relative_shift"] == pytest.approx(0.1)


def test_the_ladder_s_drift_is_the_one_of_metrics_also_for_a_map_of_nothing():
    means = "saliency_mean@m"
    references = pd.DataFrame({"clip": ["a", "a", "b"], "frame": [0, 1, 0], means: [0.2, 0.0, 0.5]})
    encodes = references.assign(crf=30, **{means: [0.3, 0.0, 0.4]})
    (row,) = stability(LadderRows(encodes, references, ("m",))).to_dict("records")
    first = relative_drift(np.array([0.2, 0.0]), np.array([[0.3], [0.0]])).mean()
    assert row["relative_drift"] == pytest.approx((first + 0.2) / 2)


def test_every_two_models_are_compared():
    columns = {
        f"saliency_mean@{name}": [0.1, 0.2, 0.4, factor] for name, factor in (("a", 0.8), ("b", 0.8), ("c", -0.8))
    }
    encodes = pd.DataFrame({"clip": ["x", "x", "y", "y"], "frame": [0, 1, 0, 1], "crf": 30} | columns)
    found = model_agreement(LadderRows(encodes, encodes, ("a", "b", "c"))).set_index(["model", "against"])
    assert len(found) == 3
    assert found.loc[("a", "b"), "plcc"] == pytest.approx(1) and found.loc[("a", "c"), "plcc"] < 0


def test_bounds_come_from_whole_clips():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(8), 50)
    shared = rng.normal(size=8)[groups]
    x, y = shared + rng.normal(size=400) / 10, shared + rng.normal(size=400) / 10 + rng.normal(size=8)[groups]
    found, single = pearson_by_group(x, y, groups), pearson_by_group(x, y, np.arange(400))
    assert found.low < found.value < found.high
    assert found.value == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert found.high - found.low > 2 * (single.high - single.low), "frames of one clip are no independent items"
    resampled = [np.corrcoef(x[pick], y[pick])[0, 1] for pick in _whole_clips(groups, 2000)]
    low, high = np.quantile(resampled, [0.025, 0.975])
    assert found.low < low and found.high > high, "the percentile bootstrap is too narrow for 8 clips"
    bootstrap = pearson_by_group(x, y, groups, Statistics(small=2))
    assert (bootstrap.low, bootstrap.high) == pytest.approx((low, high), abs=0.03)
    assert pearson_by_group(np.ones(4), np.arange(4.0), np.arange(4)) is None


@pytest.mark.parametrize(("clips", "bounded"), [(1, False), (2, True)])
def test_one_clip_has_no_bounds(clips, bounded):
    x = np.random.default_rng(0).random(5 * clips)
    found = pearson_by_group(x, x**2, np.repeat(np.arange(clips), 5))
    assert np.isfinite([found.low, found.high]).tolist() == [bounded, bounded] and found.value > 0.9


def _whole_clips(groups, times):
    rng = np.random.default_rng(1)
    rows = [np.flatnonzero(groups == group) for group in range(8)]
    return [np.concatenate([rows[pick] for pick in rng.integers(0, 8, 8)]) for _ in range(times)]


def test_flicker_is_what_moves_where_the_mask_stands_still():
    mask = np.zeros((4, 4), bool)
    moved = mask.copy()
    moved[0] = True
    maps = [np.zeros((4, 4)), np.where(moved, 1.0, 0.25)]
    (change,) = changes(maps, [mask, moved])
    assert (change.map, change.mask, change.still) == (0.4375, 0.25, 0.25)


def test_missing_codec_is_one_line_before_any_work(clips, tmp_path):
    with pytest.raises(InputError, match="has no encoder 'libnever'"):
        run_ladder(clips, [TINY], LadderPlan(encoder="libnever"), lambda: pytest.fail("ran"), Store(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"encoder": "mpeg4", "preset": None}, r"mpeg4 has no option crf"),
        ({"encoder": "libaom-av1"}, r"libaom-av1 has no option preset \(allowed: .*--preset '' for no preset"),
        ({"crfs": (23, 99)}, r"crf 99 with libx264 \(allowed: 0 to 51\)"),
        ({"encoder": "libsvtav1", "preset": "12", "crfs": (99,)}, "libsvtav1 at CRF 99.*range"),
        ({"crfs": (23, 30, 23)}, r"CRF 23 is given twice"),
        ({"preset": "never"}, "preset 'never'"),
        ({"vmaf_models": ("vmaf_v9",)}, "VMAF model 'vmaf_v9': .*could not load"),
        ({"metrics": ("mos",)}, "unknown metric 'mos'"),
    ],
)
def test_what_would_not_be_applied_is_refused_before_any_work(clips, tmp_path, settings, words):
    with pytest.raises(InputError, match=words):
        run_ladder(clips, [TINY], LadderPlan(**settings), lambda: pytest.fail("ran"), Store(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_encoders_without_a_map_keep_their_own_range_of_crfs(clips):
    ladder = LadderPlan(encoder="libsvtav1", preset="12", crfs=(60,), metrics=())
    found = run_ladder(clips[:1], [TINY], ladder, lambda: open_executor("local:1"))
    assert found.encodes["crf"].tolist() == [60] * 5


def test_an_encoder_that_fails_speaks_for_itself(clips):
    arguments = {"encoder": "libx264", "preset": "never", "crf": 30, "every": 1, "vmaf_models": [], "metrics": []}
    with pytest.raises(HarnessError, match=r"FFmpeg failed .*preset"):
        encode_rows("a", str(clips[0].frames), [["tiny", str(TINY.path), TINY.sha256]], "24", **arguments)


@pytest.mark.slow
def test_the_command_writes_tables_and_rows(clips, tmp_path):
    root = clips[0].frames.parents[2]
    options = ["--root", root, "--model", TINY.path, "--crf", "30", "--preset", "ultrafast", "--metric", "none"]
    options += ["--clip", "a", "--out", tmp_path / "out", "--store", tmp_path / "jobs", "--executor", "local:1"]
    answer = run("ladder", "--corpus", "davis-2016", *options)
    assert answer.exit_code == 0, (answer.output, answer.exception)
    assert {"stability.md", "flicker.csv", "encodes.csv", "references.csv"} <= {
        p.name for p in (tmp_path / "out").iterdir()
    }
    again = run("ladder", "--corpus", "davis-2016", *options, "--json")
    made = checked("ladder", again.stdout)["tables"]
    assert list(made) == ["vmaf", "stability", "foreground", "flicker"]
    for name, table in made.items():
        assert table == json.loads(json.dumps(table_json(read_table(tmp_path / "out" / f"{name}.csv"))))
    assert list(read_table(tmp_path / "out" / "encodes.csv").data) == ["davis-2016/a"]
    unknown = run("ladder", "--corpus", "davis-2016", *options[:-2], "--clip", "c")
    assert "has no clip 'c' (allowed: a, b)" in str(unknown.exception)
