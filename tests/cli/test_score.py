"""`harness score` as a user runs it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import HarnessError, InputError
from harness.media.open import open_clip
from harness.saliency.feature import extract
from harness.studies.score.pair import ScorePlan, score
from tests.helpers import TINY
from tests.helpers.commands import run_score as run
from tests.helpers.schemas import checked


@pytest.mark.slow
def test_the_command_prints_and_writes_the_same_log(pair_of_clips, tmp_path):
    log = tmp_path / "out" / "log.json"
    paths = [clip.info.path for clip in pair_of_clips]
    answer = run(*paths, "--model", TINY, "--json", "--log", log, "--backend", "embedded", "--metric", "psnr")
    assert answer.exit_code == 0, answer.output
    assert checked("score", answer.stdout) == json.loads(log.read_text())
    shown = run(*paths, "--model", TINY, "--metric", "none")
    assert "saliency_mean" in shown.stdout and "embedded" in shown.stdout


def test_bad_runs_leave_no_log(pair_of_clips, tmp_path):
    folder = tmp_path / "out"
    paths = [clip.info.path for clip in pair_of_clips]
    for options, words in [
        (["--vmaf-model", "vmaf_v9"], "(allowed: libvmaf's, such as vmaf_v0.6.1, vmaf_v0.6.1neg"),
        (["--frames", "4:40"], "frames 4:40 of 6 pairs"),
        (["--backend", "native"], "unknown back end 'native'"),
        (["--metric", "mos"], "unknown metric 'mos'"),
    ]:
        answer = run(*paths, "--model", TINY, "--log", folder / "log.json", *options)
        assert isinstance(answer.exception, HarnessError), answer.output
        assert words in str(answer.exception)
        assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/version").exists(), reason="needs an unwritable place")
def test_unwritable_log_fails_before_the_work(pair_of_clips):
    paths = [clip.info.path for clip in pair_of_clips]
    answer = run(*paths, "--model", TINY, "--log", "/proc/no/log.json")
    assert isinstance(answer.exception, InputError) and "cannot write /proc/no/log.json" in str(answer.exception)


def test_maps_are_kept_as_y4m_png_and_overlay(pair_of_clips, tiny, tmp_path):
    paths = [clip.info.path for clip in pair_of_clips]
    options = ["--model", TINY, "--metric", "none"]
    answer = run(*paths, *options, "--map", tmp_path / "map.y4m", "--overlay", tmp_path / "view.mp4")
    assert answer.exit_code == 0, (answer.output, answer.exception)
    assert run(*paths, *options, "--map", tmp_path / "maps").exit_code == 0
    samples = list(extract(pair_of_clips[1], [tiny]))
    stored = open_clip(tmp_path / "map.y4m")
    assert (stored.info.pix_fmt, stored.info.frames) == ("gray", 6)
    for sample, frame, png in zip(samples, stored, sorted((tmp_path / "maps").iterdir()), strict=True):
        assert np.abs(frame.y / 255 - sample.maps[0]).max() <= 0.5 / 255 + 1e-6
        with Image.open(png) as image:
            assert np.array_equal(np.asarray(image), frame.y)
    view = open_clip(tmp_path / "view.mp4")
    assert (view.info.width, view.info.frames) == (64, 6)
    again = run(*paths, *options, "--map", tmp_path / "maps")
    assert "maps holds files already (allowed: an empty or new folder)" in str(again.exception)


def test_a_failed_run_keeps_no_maps(pair_of_clips, tmp_path):
    paths = [clip.info.path for clip in pair_of_clips]
    places = ["--map", tmp_path / "maps", "--overlay", tmp_path / "view.mp4", "--log", tmp_path / "log.json"]
    answer = run(*paths, "--model", TINY, "--vmaf-model", "vmaf_v9", *places)
    assert isinstance(answer.exception, HarnessError)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.y4m", "r.y4m"]


@pytest.mark.parametrize("option", ["--log", "--map", "--overlay"])
@pytest.mark.parametrize("kept", ["r.y4m", "link.y4m", "model.onnx"])
def test_no_output_is_written_over_what_was_read(pair_of_clips, tmp_path, option, kept):
    model = tmp_path / "model.onnx"
    model.write_bytes(TINY.read_bytes())
    (tmp_path / "link.y4m").symlink_to(tmp_path / "d.y4m")
    paths = [clip.info.path for clip in pair_of_clips]
    before = {path: path.read_bytes() for path in (*paths, model)}
    answer = run(*paths, "--model", model, "--metric", "none", option, tmp_path / kept)
    assert isinstance(answer.exception, InputError)
    assert re.search(f"{option} .*{kept} is the (reference clip|distorted clip|model model) ", str(answer.exception))
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.parametrize("second", ["out.y4m", "out.y4m/log.json"])
def test_two_outputs_do_not_share_a_place(pair_of_clips, tmp_path, second):
    paths = [clip.info.path for clip in pair_of_clips]
    places = ["--log", tmp_path / second, "--map", tmp_path / "out.y4m"]
    answer = run(*paths, "--model", TINY, "--metric", "none", *places)
    assert isinstance(answer.exception, InputError) and "--log and --map" in str(answer.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.y4m", "r.y4m"]


def test_a_log_that_names_a_folder_fails_before_the_work(pair_of_clips, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.studies.score.pair._score", lambda *args, **more: pytest.fail("worked"))
    paths = [clip.info.path for clip in pair_of_clips]
    answer = run(*paths, "--model", TINY, "--log", tmp_path)
    assert isinstance(answer.exception, InputError) and "it is a folder (allowed: a file)" in str(answer.exception)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--size", "64x64"], "--size for clips that state their own (allowed for: .yuv, .raw)"),
        (["--pix-fmt", "yuv420p"], "--pix-fmt for clips that state their own"),
        (["--fps", "25"], "--fps for clips that state their own (allowed for: .yuv, .raw and folders"),
        (["--metric", "none", "--metric", "psnr"], "--metric none beside others (allowed: alone)"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(pair_of_clips, options, words):
    answer = run(*[clip.info.path for clip in pair_of_clips], "--model", TINY, *options)
    assert isinstance(answer.exception, InputError) and words in str(answer.exception)


def test_what_raw_video_needs_goes_to_the_clip_that_is_raw(pair_of_clips, tmp_path):
    raw = tmp_path / "r.yuv"
    planes = [plane.tobytes() for frame in pair_of_clips[0] for plane in (frame.y, frame.u, frame.v)]
    raw.write_bytes(b"".join(planes))
    layout = ["--size", "64x64", "--pix-fmt", "yuv420p", "--fps", "25"]
    answer = run(raw, pair_of_clips[1].info.path, *layout, "--model", TINY, "--metric", "psnr", "--json")
    assert answer.exit_code == 0, answer.exception
    same = score(*pair_of_clips, [], ScorePlan(metrics=("psnr",))).log.column("psnr_y")
    found = [frame["metrics"]["psnr_y"] for frame in json.loads(answer.stdout)["frames"]]
    assert found == pytest.approx(same.tolist(), abs=1e-5)


def test_a_timeout_is_positive_or_none(pair_of_clips):
    paths = [clip.info.path for clip in pair_of_clips]
    assert run(*paths, "--model", TINY, "--timeout", "-5").exit_code == 2
    assert run(*paths, "--model", TINY, "--metric", "none", "--timeout", "0").exit_code == 0
