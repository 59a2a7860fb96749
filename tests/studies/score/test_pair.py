"""Scoring a pair of clips: in step or refused, strict with the log, the same numbers by every back end."""

import json
import os
import re
import shutil
import stat
import sys
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from harness.errors import HarnessError, InputError
from harness.media.ffmpeg import find_ffmpeg
from harness.media.map_files import map_writer
from harness.media.open import open_clip
from harness.media.pairing import as_input, pair
from harness.media.y4m import write_y4m
from harness.models.session import load_model
from harness.quality.libvmaf import PairedInput, measure, pooled, read_log
from harness.quality.native import NativeFFmpeg, VmafProgram, choose
from harness.saliency.feature import extract
from harness.studies.score.pair import ScorePlan, score
from tests.helpers import VECTORS
from tests.helpers.clips import synthetic, write_video
from tests.helpers.commands import run_score as run

TINY = VECTORS / "mobilesal_tiny.onnx"


def clip(path, count=6, noise=0, size=(64, 64), rate=Fraction(25), depth=8, chroma="420"):
    rng = np.random.default_rng(5)

    def frames():
        for index in range(count):
            frame = synthetic(*size, chroma, index, depth)
            spoiled = np.clip(frame.y.astype(int) + rng.integers(-noise, noise + 1, frame.y.shape), 0, 2**depth - 1)
            yield replace(frame, index=index, y=spoiled.astype(frame.y.dtype))

    write_y4m(path, frames(), rate)
    return open_clip(path)


@pytest.fixture
def pair_of_clips(tmp_path):
    return clip(tmp_path / "r.y4m"), clip(tmp_path / "d.y4m", noise=12)


@pytest.fixture(scope="module")
def tiny():
    return load_model(TINY)


def test_one_log_holds_every_metric_of_every_frame(pair_of_clips, tiny, tmp_path):
    seen = []
    result = score(*pair_of_clips, [tiny], progress=lambda done, total: seen.append((done, total)))
    result.write(tmp_path / "log.json")
    log = json.loads((tmp_path / "log.json").read_text())
    assert [frame["frameNum"] for frame in log["frames"]] == list(range(6))
    wanted = {"vmaf", "psnr_y", "psnr_cb", "psnr_cr", "float_ssim", "xpsnr_y", "xpsnr_u", "xpsnr_v", "saliency_mean"}
    assert all(wanted <= frame["metrics"].keys() for frame in log["frames"])
    means = [sample.means[0] for sample in extract(pair_of_clips[1], [tiny])]
    assert [frame["metrics"]["saliency_mean"] for frame in log["frames"]] == [round(mean, 6) for mean in means]
    assert set(log["pooled_metrics"]["saliency_mean"]) == {"min", "max", "mean", "harmonic_mean"}
    made = log["harness"]
    assert made["backend"] == "embedded" and "mobilesal" in made["backend_reason"]
    assert made["saliency_models"] == {"mobilesal_tiny": tiny.sha256}
    assert seen[-1] == (6, 6)


def test_psnr_of_the_log_is_psnr(pair_of_clips):
    result = score(*pair_of_clips, [], ScorePlan(metrics=("psnr",)))
    for number, (one, two) in enumerate(zip(*pair_of_clips, strict=True)):
        mse = np.mean((one.y.astype(float) - two.y) ** 2)
        assert result.log.frames[number]["psnr_y"] == pytest.approx(10 * np.log10(255**2 / mse), abs=1e-5)


def test_pooling_is_libvmafs_own(shared):
    log = json.loads((shared / "golden/libby.640x360.crf34.upstream_v1.json").read_text())
    for name, stats in log["pooled_metrics"].items():
        values = np.array([frame["metrics"][name] for frame in log["frames"]])
        assert pooled(values) == pytest.approx(stats, abs=1.1e-6)


def test_several_models_get_a_column_each(pair_of_clips, tiny):
    result = score(
        *pair_of_clips, [tiny, replace(tiny, name="other")], ScorePlan(vmaf_models=("vmaf_v0.6.1neg",), metrics=())
    )
    first = result.log.frames[0]
    assert first["saliency_mean@mobilesal_tiny"] == first["saliency_mean@other"]
    assert "vmaf_v0.6.1neg" in first and "vmaf" not in first


def test_offset_frames_and_every_pick_the_same_frames_on_both_sides(tmp_path, tiny):
    reference = clip(tmp_path / "r.y4m", 8)
    late = tmp_path / "late.y4m"
    write_y4m(late, [next(iter(reference)), next(iter(reference)), *reference], Fraction(25))
    plan = ScorePlan(metrics=("psnr",), offset=2, first=1, last=7, every=2)
    result = score(reference, open_clip(late), [tiny], plan)
    assert list(result.log.frames) == [0, 2, 4]
    assert result.log.column("psnr_y").tolist() == [60, 60, 60]
    means = [sample.means[0] for sample in extract(reference, [tiny])]
    assert result.log.column("saliency_mean").tolist() == means[1:7:2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": (64, 80)}, "size 64x64 against 64x80"),
        ({"count": 5}, "6 against 5 frames"),
        ({"rate": Fraction(30)}, "frame rate 25 fps against 30 fps"),
        ({"depth": 10}, "pixel format yuv420p against yuv420p10le"),
        ({"chroma": "444"}, "pixel format yuv420p against yuv444p"),
    ],
)
def test_clips_out_of_step_are_refused_with_both_values(tmp_path, change, words):
    with pytest.raises(InputError, match=f"do not match: {words}"):
        pair(clip(tmp_path / "r.y4m"), clip(tmp_path / "d.y4m", **change))


def test_colours_that_differ_are_refused_as_the_samples_mean_other_things(tmp_path):
    frames = list(clip(tmp_path / "r.y4m"))
    write_y4m(tmp_path / "pc.y4m", [replace(frame, range="pc") for frame in frames], Fraction(25))
    plain, full = open_clip(tmp_path / "r.y4m"), open_clip(tmp_path / "pc.y4m")
    assert plain.info.range == "unspecified"
    with pytest.raises(InputError, match=r"colour range pc against unspecified \(a y4m of full range says XCOLORRANGE"):
        pair(full, plain)
    tagged = {name: replace(plain, info=replace(plain.info, matrix=name, range="tv")) for name in ("bt709", "bt470bg")}
    with pytest.raises(InputError, match=r"colour matrix bt709 against bt470bg \(convert one first"):
        pair(tagged["bt709"], tagged["bt470bg"])
    same = replace(plain, info=replace(plain.info, matrix="smpte170m"))
    assert pair(tagged["bt470bg"], same).count == pair(tagged["bt709"], plain).count == 6


def test_shortest_and_ranges_are_explicit(tmp_path):
    reference = clip(tmp_path / "r.y4m", 6)
    distorted = clip(tmp_path / "d.y4m", 4)
    assert pair(reference, distorted, shortest=True).count == 4
    found = pair(reference, distorted, offset=-2)
    assert (found.first_reference, found.first_distorted, found.count) == (2, 0, 4)
    with pytest.raises(InputError, match=r"frames 2:9 of 4 pairs \(allowed: 0:1 to 0:4\)"):
        pair(reference, distorted, shortest=True, first=2, last=9)


def write_log(path, frames):
    content = {"version": "x", "frames": [{"frameNum": n, "metrics": m} for n, m in frames]}
    path.write_text(json.dumps(content))
    return path


def test_libvmafs_log_is_never_averaged_over_holes(tmp_path):
    good = [(0, {"vmaf": 1.0}), (1, {"vmaf": 2.0})]
    assert read_log(write_log(tmp_path / "a", good), range(2), ["vmaf"]).column("vmaf").tolist() == [1, 2]
    for frames, words in [
        (good[:1], "scored 1 of 2 frames: frame 1 is missing"),
        ([*good, (2, {"vmaf": 1.0})], "scored 3 of 2 frames: frame 2 was not asked for"),
        ([good[0], (1, {"vmaf": None})], "vmaf = null for frame 1"),
        ([good[0], (1, {"vmaf": float("nan")})], "NaN is no finite number"),
        ([good[0], (1, {})], "vmaf = null for frame 1"),
        ([], "scored 0 of 2 frames: frame 0 is missing"),
    ]:
        with pytest.raises(HarnessError, match=words):
            read_log(write_log(tmp_path / "a", frames), range(2), ["vmaf"])
    (tmp_path / "a").write_text('{"frames": 3}')
    with pytest.raises(HarnessError, match="shape of libvmaf's log"):
        read_log(tmp_path / "a", range(2))


def test_high_bit_depth_needs_leave_and_is_recorded(tmp_path, tiny):
    deep = clip(tmp_path / "r.y4m", 2, depth=10)
    with pytest.raises(InputError, match="10 bits"):
        score(deep, deep, [tiny], ScorePlan(metrics=()))
    result = score(deep, deep, [tiny], ScorePlan(metrics=(), allow_highbit=True))
    assert result.provenance["highbit_rounded_to_8"] == 10


def test_stock_ffmpeg_refuses_the_feature_in_its_own_words():
    refusal = NativeFFmpeg(find_ffmpeg()).refusal(TINY)
    assert refusal and "mobilesal" in refusal
    with pytest.raises(InputError, match="ffmpeg-native does not work here"):
        choose("ffmpeg-native", find_ffmpeg(), TINY)


def documented_vmaf(folder, body):
    """A script that keeps the documented command line of the fork's tool; it stands in for the protocol only."""
    path = folder / "vmaf"
    path.write_text(f"#!{sys.executable}\nimport json, os, sys\nargs = sys.argv[1:]\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


ANSWERS = """
assert args[args.index("--feature") + 1] == "mobilesal" and os.environ["VMAF_MOBILESAL_MODEL_PATH"]
count = open(args[args.index("-d") + 1], "rb").read().count(b"FRAME")
frames = [{"frameNum": n, "metrics": {"saliency_mean": n / 8}} for n in range(count)]
json.dump({"version": "fork", "frames": frames}, open(args[args.index("-o") + 1], "w"))
"""


def test_probe_protocol_of_vmaf_cli_with_a_script_that_answers_as_documented(
    tmp_path, monkeypatch, pair_of_clips, tiny
):
    monkeypatch.setenv("HARNESS_VMAF", str(documented_vmaf(tmp_path, ANSWERS)))
    extractor, reason = choose("auto", find_ffmpeg(), TINY)
    assert isinstance(extractor, VmafProgram) and reason == "vmaf-cli runs mobilesal"
    result = score(*pair_of_clips, [tiny], ScorePlan(metrics=(), backend="vmaf-cli"))
    assert result.log.column("saliency_mean").tolist() == [n / 8 for n in range(6)]
    assert result.provenance["backend"] == "vmaf-cli"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "print('problem loading feature extractor: mobilesal', file=sys.stderr); sys.exit(1)",
            "exit code 1.*mobilesal",
        ),
        ("pass", "wrote no log"),
        ("json.dump({'frames': []}, open(args[args.index('-o') + 1], 'w'))", "frame 0 is missing"),
    ],
)
def test_probe_protocol_of_vmaf_cli_with_a_script_that_lacks_the_feature(tmp_path, monkeypatch, body, words):
    monkeypatch.setenv("HARNESS_VMAF", str(documented_vmaf(tmp_path, body)))
    extractor, reason = choose("auto", find_ffmpeg(), TINY)
    assert extractor is None and "vmaf-cli: " in reason
    with pytest.raises(InputError, match=words):
        choose("vmaf-cli", find_ffmpeg(), TINY)


def test_the_command_prints_and_writes_the_same_log(pair_of_clips, tmp_path):
    log = tmp_path / "out" / "log.json"
    paths = [clip.info.path for clip in pair_of_clips]
    answer = run(*paths, "--model", TINY, "--json", "--log", log, "--backend", "embedded", "--metric", "psnr")
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout) == json.loads(log.read_text())
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


def test_a_stream_cut_short_stops_the_score_and_the_ffmpeg_beside_it(pair_of_clips, tiny, tmp_path):
    class Short:
        info = pair_of_clips[1].info
        demuxer, options = None, ()

        def __iter__(self):
            return iter(list(pair_of_clips[1])[:4])

    with pytest.raises(InputError, match="4 frames decode, its container states 6"):
        score(pair_of_clips[0], Short(), [tiny], ScorePlan(metrics=()))


@pytest.mark.parametrize(("metrics", "words"), [((), "libvmaf scored 4 of 6"), (("xpsnr",), "scored 4 of 6")])
@pytest.mark.parametrize("short", ["reference", "distorted"])
def test_a_side_that_ends_early_is_not_padded_with_its_last_frame(tmp_path, short, metrics, words):
    counts = {"reference": 6, "distorted": 6, short: 4}
    reference, distorted = (as_input(clip(tmp_path / f"{side}.y4m", n), tmp_path) for side, n in counts.items())
    with pytest.raises(HarnessError, match=words):
        measure(find_ffmpeg(), PairedInput(reference, distorted, 0, 0, 6, Fraction(25)), metrics=metrics)


@pytest.mark.parametrize("damage", ["cut", "overwritten"])
@pytest.mark.parametrize("side", [0, 1])
def test_a_damaged_stream_is_never_scored_by_what_ffmpeg_makes_up(tmp_path, tiny, damage, side):
    whole = write_video(tmp_path / "whole.mp4", 30, options={"movflags": "faststart"})
    content = bytearray(whole.read_bytes())
    middle = len(content) * 6 // 10
    bad = tmp_path / "bad.mp4"
    content[middle : middle + 4000] = bytes(4000)
    bad.write_bytes(content if damage == "overwritten" else content[:middle])
    assert open_clip(bad).info.frames == 30, "only decoding tells"
    clips = [open_clip(whole), open_clip(whole)]
    assert len(score(*clips, [], ScorePlan(metrics=("psnr",))).log.frames) == 30
    clips[side] = open_clip(bad)
    with pytest.raises(HarnessError, match=r"bad\.mp4: FFmpeg failed .*(NAL|corrupt|Invalid)") as caught:
        score(*clips, [], ScorePlan(metrics=("psnr",)))
    assert "\n" not in str(caught.value)


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
    monkeypatch.setattr("harness.studies.score.pair.score", lambda *args, **more: pytest.fail("worked"))
    paths = [clip.info.path for clip in pair_of_clips]
    answer = run(*paths, "--model", TINY, "--log", tmp_path)
    assert isinstance(answer.exception, InputError) and "it is a folder (allowed: a file)" in str(answer.exception)


def test_models_of_one_name_are_refused_as_one_would_be_lost(pair_of_clips, tiny):
    with pytest.raises(InputError, match="two models named 'mobilesal_tiny'"):
        score(*pair_of_clips, [tiny, replace(tiny, sha256="0" * 64)], ScorePlan(metrics=()))


def test_a_map_folder_is_whole_or_absent(pair_of_clips, tmp_path):
    maps = [np.zeros((4, 4), np.float32)] * 2
    folder = tmp_path / "new" / "maps"
    with pytest.raises(KeyboardInterrupt), map_writer(folder, Fraction(25)) as keep:
        keep(maps[0])
        assert not folder.exists(), "a killed run must not block the next one"
        raise KeyboardInterrupt
    assert list(folder.parent.iterdir()) == []
    folder.mkdir()
    with map_writer(folder, Fraction(25)) as keep:
        for values in maps:
            keep(values)
    assert sorted(path.name for path in folder.parent.rglob("*")) == ["00000.png", "00001.png", "maps"]
    (tmp_path / "file").touch()
    for place, words in [(tmp_path / "file", "is a file"), (tmp_path / "file" / "maps", "cannot write")]:
        with pytest.raises(InputError, match=words), map_writer(place, Fraction(25)):
            pytest.fail("opened")


def test_a_disk_that_fails_midway_is_one_line(tmp_path):
    with (
        pytest.raises(HarnessError, match=r"writing .*maps failed: No such file"),
        map_writer(tmp_path / "maps", Fraction(25)) as keep,
    ):
        shutil.rmtree(next(tmp_path.iterdir()))
        keep(np.zeros((4, 4), np.float32))
    assert list(tmp_path.iterdir()) == []


def vmaf_program(folder, body):
    return VmafProgram(documented_vmaf(folder, body), find_ffmpeg())


def compared(pair_of_clips, tmp_path):
    reference, distorted = (as_input(clip, tmp_path) for clip in pair_of_clips)
    return PairedInput(reference, distorted, 0, 0, 6, Fraction(25))


def test_vmaf_cli_may_take_long_as_long_as_it_counts_frames(pair_of_clips, tmp_path):
    counting = """
import time
assert sys.stderr.isatty(), "the fork's tool counts on a terminal only"
for n in range(6):
    time.sleep(0.3)
    print(f"\\r{n + 1} frames . 3.33 FPS\\033[K", end="", file=sys.stderr, flush=True)
"""
    means = vmaf_program(tmp_path, counting + ANSWERS).means(compared(pair_of_clips, tmp_path), TINY, 1.0)
    assert list(means) == list(range(6))
    failing = vmaf_program(tmp_path, counting + "sys.exit('problem reading pictures')")
    with pytest.raises(HarnessError, match=r"failed \(exit code 1\): problem reading pictures$"):
        failing.means(compared(pair_of_clips, tmp_path), TINY, 1.0)


def test_vmaf_cli_that_hangs_or_is_stopped_is_killed_with_all_that_it_started(pair_of_clips, tmp_path):
    hanging = vmaf_program(tmp_path, "import subprocess; subprocess.run(['sleep', '61.25'])")
    with pytest.raises(HarnessError, match="vmaf hung: nothing new for 1 s, killed"):
        hanging.means(compared(pair_of_clips, tmp_path), TINY, 1.0)
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    with pytest.raises(HarnessError, match="vmaf was stopped"):
        hanging.means(compared(pair_of_clips, tmp_path), TINY, 60.0, stop)
    assert not [child for child in psutil.process_iter(["cmdline"]) if "61.25" in (child.info["cmdline"] or [])]


def test_a_metric_that_fails_stops_the_saliency_beside_it_and_speaks_for_itself(tiny, tmp_path, monkeypatch):
    asked = "open(args[args.index('-d') + 1], 'rb').read().count(b'FRAME')"
    sleeping = f"import time\nif {asked} > 2: time.sleep(60)\n{ANSWERS}"
    monkeypatch.setenv("HARNESS_VMAF", str(documented_vmaf(tmp_path, sleeping)))
    whole = write_video(tmp_path / "whole.mp4", 30, options={"movflags": "faststart"})
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(HarnessError, match=r"FFmpeg failed .*(NAL|Invalid)"):
        score(open_clip(bad), open_clip(whole), [tiny], ScorePlan(metrics=(), backend="vmaf-cli"))


def grey_clip(path):
    frames = [replace(synthetic(64, 64, "420", n), u=None, v=None, pix_fmt="gray", chroma="400") for n in range(2)]
    write_y4m(path, frames, Fraction(25))
    return open_clip(path)


@pytest.mark.parametrize(("change", "words"), [({"depth": 10}, "rounds 10 bits to 8"), ({"chroma": "400"}, "no 4:0:0")])
def test_what_the_native_extractors_refuse_goes_to_the_embedded_one(tmp_path, monkeypatch, tiny, change, words):
    monkeypatch.setenv("HARNESS_VMAF", str(documented_vmaf(tmp_path, ANSWERS)))
    odd = clip(tmp_path / "r.y4m", 2, **change) if "depth" in change else grey_clip(tmp_path / "r.y4m")
    plan = ScorePlan(metrics=(), allow_highbit=True)
    with pytest.raises(InputError, match=rf"back end vmaf-cli: .*{words} \(allowed: auto, embedded\)"):
        score(odd, odd, [tiny], replace(plan, backend="vmaf-cli"))
    if "chroma" in change:
        with pytest.raises(InputError, match="4:0:0"):
            score(odd, odd, [tiny], plan)
        return
    made = score(odd, odd, [tiny], plan).provenance
    assert made["backend"] == "embedded" and words in made["backend_reason"]


def test_a_log_that_libvmaf_did_not_write_is_told_in_its_words(tmp_path):
    small = clip(tmp_path / "r.y4m", 2, size=(128, 192))  # less than the v1 models take
    with pytest.raises(HarnessError, match=r"libvmaf wrote no log|FFmpeg failed") as caught:
        score(small, small, [], ScorePlan(vmaf_models=("vmaf_v1.0.16_3d0h",), metrics=()))
    assert "no feature 'cambi" in str(caught.value) and not isinstance(caught.value, InputError)


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
