"""Bad input: one line that names what was found, the right exit code, no traceback, nothing half-written."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from corpora.loader import manifest_names
from corpora.synth import ClipOptions, ImageOptions, write_clips, write_images
from harness.cli import app
from harness.cli.progress import stages
from harness.media.open import open_clip
from harness.models.placeholder import write_placeholder
from tests.helpers import ROOT


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_clips(tmp_path_factory.mktemp("clips"), ClipOptions(count=1, size=(96, 64), frames=6))
    return next((folder / "clips").glob("*.y4m"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("images"), ImageOptions(count=4, size=(64, 64)))


def refused(
    words: list[object], code: int, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["harness", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        app.main()
    lines = capsys.readouterr().err.splitlines()
    assert stop.value.code == code
    assert len(lines) == 1 and says in lines[0], lines


def bad_models(folder: Path) -> dict[str, tuple[Path, str]]:
    text = folder / "text.onnx"
    text.write_text("this is no graph\n")
    renamed = folder / "renamed.onnx"
    write_placeholder(renamed)
    graph = onnx.load(renamed)
    graph.graph.output[0].name = graph.graph.node[-1].output[0] = "map"
    onnx.save(graph, renamed)
    empty = folder / "empty.onnx"
    empty.touch()
    return {
        "missing": (folder / "none.onnx", "no such file"),
        "text": (text, "not an ONNX model"),
        "renamed": (renamed, "output tensors are ['map'] (allowed: ['saliency_map'])"),
        "empty": (empty, "0 bytes"),
        "folder": (folder, "a folder (allowed: a registry id"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["missing", "text", "renamed", "empty", "folder"])
@pytest.mark.parametrize("command", ["eval", "score", "roi-encode", "validate"])
def test_bad_model(
    command: str, kind: str, clip: Path, images: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    model, says = bad_models(tmp_path)[kind]
    words: dict[str, list[object]] = {
        "eval": ["eval", "--corpus", "synth", "--root", images, "--model", model],
        "score": ["score", clip, clip, "--model", model, "--log", tmp_path / "out.json"],
        "roi-encode": ["roi-encode", clip, "--model", model, "--out", tmp_path / "out.mp4"],
        "validate": ["validate", "--corpus", "synth", "--root", images, "--model", model],
    }
    before = sorted(tmp_path.iterdir())
    refused(words[command], 2, says, monkeypatch, capsys)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("kind", ["missing", "empty", "truncated", "text"])
@pytest.mark.parametrize("command", ["score", "roi-encode"])
def test_bad_clip(
    command: str, kind: str, clip: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    bad = tmp_path / "bad.y4m"
    content = {"empty": b"", "truncated": clip.read_bytes()[:-100], "text": b"hello\n"}
    if kind != "missing":
        bad.write_bytes(content[kind])
    words: dict[str, list[object]] = {
        "score": ["score", bad, bad, "--model", "saliency_student_v1", "--log", tmp_path / "out.json"],
        "roi-encode": ["roi-encode", bad, "--model", "saliency_student_v1", "--out", tmp_path / "out.mp4"],
    }
    before = sorted(tmp_path.iterdir())
    refused(words[command], 2, "bad.y4m", monkeypatch, capsys)
    assert sorted(tmp_path.iterdir()) == before


def test_wrong_hash(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = tmp_path / "tiny"
    tiny.mkdir()
    write_placeholder(tiny / "other.onnx")
    entry = {"id": "other", "kind": "nr", "onnx": "other.onnx", "sha256": "0" * 64}
    (tiny / "registry.json").write_text(json.dumps({"schema_version": 1, "models": [entry]}))
    monkeypatch.setenv("HARNESS_MODELS", str(tmp_path))
    words = ["score", clip, clip, "--model", "other", "--log", tmp_path / "out.json"]
    refused(words, 2, "the registry says 0000", monkeypatch, capsys)
    refused(["registry", "verify"], 1, "the registry says 0000", monkeypatch, capsys)


def test_unknown_names(images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    model = ["--model", "saliency_student_v1"]
    refused(["eval", "--corpus", "nowhere", *model], 2, "unknown corpus 'nowhere' (allowed: ", monkeypatch, capsys)
    words = ["eval", "--corpus", "synth", "--root", images, "--model", "nothing"]
    refused(words, 2, "unknown model 'nothing' (allowed: production, ", monkeypatch, capsys)


def test_unwritable_output(
    clip: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    model = ["--model", "saliency_student_v1"]
    inside = tmp_path / "file" / "out"
    for words in (
        ["score", clip, clip, *model, "--log", inside.with_suffix(".json")],
        ["roi-encode", clip, *model, "--out", inside.with_suffix(".mp4")],
        ["eval", "--corpus", "synth", "--root", images, *model, "--out", inside],
    ):
        refused(words, 2, "cannot write", monkeypatch, capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_name_that_was_asked_for_is_refused_not_the_temporary_one(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.foo"
    words = ["roi-encode", clip, "--model", "saliency_student_v1", "--out", out]
    refused(words, 2, f"harness: {out}: libx264 does not write '.foo'", monkeypatch, capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words", ["roi-encode CLIP --option qmin=9 --option qmin=5", "train --student v1 --epochs 3 --set epochs=4"]
)
def test_a_value_that_is_said_twice_is_not_chosen_from(
    words: str, clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(words.replace("CLIP", str(clip)).split(), 2, "once)", monkeypatch, capsys)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            "roi-encode CLIP --strength 4 --share 0.25:0.4",
            "--strength 4 beside --share 0.25:0.4 (allowed: one of them)",
        ),
        ("roi-encode CLIP --option crf=20 --crf 30", "--option crf=20 would give way to --crf (allowed: --crf alone)"),
        ("roi-encode CLIP --option crf=20", "--option crf=20 would give way to --crf"),  # and to its default
        ("roi-encode CLIP --option preset=slow --preset fast", "--option preset=slow would give way to --preset"),
        ("ladder --corpus synth-clips --root SET --fps abc", "frame rate 'abc' (allowed: a number or a fraction"),
        ("ladder --corpus synth-clips --root SET --fps -1", "frame rate -1 (allowed: above 0)"),
        ("ladder --corpus synth-clips --root SET --fps 30", "--fps for clips of synth-clips, which state their own"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(
    words: str, says: str, clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    named = words.replace("CLIP", str(clip)).replace("SET", str(clip.parents[2]))
    refused(list(named.split()), 2, says, monkeypatch, capsys)


@pytest.mark.parametrize("dry", [["--dry-run"], []])
@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("score CLIP CLIP --log CLIP", "is the reference clip (allowed: any other path)"),
        ("score CLIP CLIP --log TMP", "it is a folder (allowed: a file)"),
        ("score CLIP CLIP --log CLIP/log.json", "cannot write"),
        ("score CLIP CLIP --overlay TMP/x.txt", "x.txt (allowed: .mp4, .mkv)"),
        ("score CLIP CLIP --map TMP/x.avi", "x.avi (allowed: a .y4m file, or a folder for PNG files)"),
        ("score CLIP CLIP --map SET", "holds files already (allowed: an empty or new folder)"),
        ("roi-encode CLIP --out TMP/o.mkv --preview TMP/a.txt", "a.txt (allowed: a .png of one frame"),
        ("roi-encode CLIP --out TMP/o.mkv --preview CLIP/a.png", "cannot write"),
        ("roi-encode CLIP --out TMP/o.mkv --export-map png:TMP", "exists (allowed: a new folder"),
        ("roi-encode CLIP --out TMP/o.mkv --export-map npz:TMP/o.mkv", "are in one place"),
        ("roi-encode CLIP --out CLIP", "is the clip (allowed: any other path)"),
        ("ladder --corpus synth-clips --root SET --executor bogus", "executor 'bogus' (allowed: local, "),
        ("ladder --corpus synth-clips --root SET --out CLIP", "cannot write"),
    ],
)
def test_a_dry_run_refuses_what_the_run_refuses(
    words: str, says: str, dry: list[str], clip: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for name, path in {"CLIP": clip, "SET": clip.parents[2], "TMP": tmp_path}.items():
        words = words.replace(name, str(path))
    model = "centre-prior" if words.startswith("roi") else "saliency_student_v1"
    refused([*words.split(), "--model", model, *dry], 2, says, monkeypatch, capsys)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("roi-sweep --model absent --name a/b", "table name 'a/b' (allowed: letters, digits and ._+- after the first)"),
        ("roi-sweep --model absent --budget vmaf=1 --name ../a", "table name '../a'"),
        ("eval --images absent --masks absent --name a/b", "--name 'a/b' (allowed: what a file can be called"),
        ("eval --images absent --masks absent --name ..", "--name '..'"),
    ],
)
def test_a_name_that_no_file_can_have_is_refused_before_the_work(
    words: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(list(words.split()), 2, says, monkeypatch, capsys)


@pytest.mark.parametrize("option", ["--out", "--preview", "--export-map"])
def test_roi_encode_never_writes_over_its_source(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_clips(tmp_path, ClipOptions(count=1, size=(96, 64), frames=2)) / "clips"
    clip = next(source.glob("*.y4m")).rename(tmp_path / "clip.mkv")
    before = clip.read_bytes()
    target = f"npz:{clip}" if option == "--export-map" else str(clip)
    words = ["roi-encode", clip, "--model", "centre-prior", option, target]
    words += [] if option == "--out" else ["--out", tmp_path / "out.mkv"]
    refused(words, 2, f"{clip} is the clip", monkeypatch, capsys)
    assert clip.read_bytes() == before and not (tmp_path / "out.mkv").exists()


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["libx264", "libkvazaar"])
def test_roi_encode_takes_raw_video_once_its_layout_is_given(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, out = tmp_path / "clip.yuv", tmp_path / "out.mkv"
    raw.write_bytes(np.random.default_rng(0).integers(16, 236, 4 * 320 * 192 * 3 // 2, np.uint8).tobytes())
    words = ["roi-encode", raw, "--model", "centre-prior", "--encoder", encoder, "--preset", "ultrafast", "--out", out]
    refused(words, 2, "raw video: give its size and pixel format", monkeypatch, capsys)
    words += ["--size", "320x192", "--pix-fmt", "yuv420p"]
    refused([*words, "--fps", "x"], 2, "frame rate 'x'", monkeypatch, capsys)
    monkeypatch.setattr(sys, "argv", ["harness", *map(str, words), "--fps", "30"])
    with pytest.raises(SystemExit) as stop:
        app.main()
    info = open_clip(out).info
    assert not stop.value.code and (info.width, info.height, info.frame_rate) == (320, 192, 30)


@pytest.mark.parametrize(("typed", "offered"), [("harness cor", "corpora"), ("harness registry roll", "rollback")])
def test_completion_offers_commands_and_their_sub_commands(
    typed: str, offered: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["harness"])
    monkeypatch.setenv("_HARNESS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(typed.count(" ")))
    with pytest.raises(SystemExit):
        app.main()
    assert capsys.readouterr().out.split() == [offered]


def test_corpora_list_keeps_one_line_per_set_at_80_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "argv", ["harness", "corpora", "list"])
    monkeypatch.setenv("HARNESS_CORPORA", str(tmp_path))
    with pytest.raises(SystemExit):
        app.main()
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(manifest_names())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["eval"], "harness: nothing to measure on (allowed: --corpus NAME, or --images DIR with --masks DIR)"),
        (["eval", "--corpus", "ecssd", "--workers", "0"], "'--workers'"),
        (["eval", "--corpus", "ecssd", "--colour", "red"], "'--colour'"),
        (["eval", "--sputnik"], "No such option: --sputnik"),
        (["sputnik"], "No such command 'sputnik' (see: harness --help)"),
        (["registry", "sputnik"], "No such command 'sputnik' (see: harness registry --help)"),
        (["registry", "begin"], "Missing argument 'model'"),
    ],
)
def test_a_usage_error_is_one_line_like_all_others(
    words: list[object], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(words, 2, says, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--working-size", "64", "--working-size", "64"], "working size 64 is given twice (allowed: each once)"),
        (["--working-size", "256", "--working-size", "256x256"], "working size 256 is given twice"),
        (
            ["--working-size", "99999999999"],
            "working size '99999999999' (allowed: native, N, short:N or WxH, each from 16",
        ),
        (["--working-size", "short:8193"], "each from 16 to 8192)"),
        (["--working-size", "256x8"], "each from 16 to 8192)"),
        (["--working-size", "9" * 5000], "each from 16 to 8192)"),
        (["--distort", "crf=23", "--distort", "crf=23"], "distortion crf=23 is given twice"),
        (["--corpus", "SYNTH"], "corpus synth is given twice"),
        (["--sheet"], "--sheet needs --out"),
        (["--note", "a word"], "--note needs --out"),
    ],
)
def test_eval_refuses_repeats_and_lost_options_before_it_opens_anything(
    words: list[object], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = ["--root", tmp_path / "absent", "--model", "absent"]
    refused(["eval", "--corpus", "synth", *absent, *words], 2, says, monkeypatch, capsys)


@pytest.mark.parametrize("words", [[], ["registry"]])
def test_nothing_asked_for_shows_the_help(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["harness", *words])
    with pytest.raises(SystemExit) as stop:
        app.main()
    shown = capsys.readouterr()
    assert (stop.value.code, shown.err) == (2, "")
    assert "Usage: " in shown.out


def test_a_benchmark_without_models_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["extractor.py"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "benchmarks" / "extractor.py"), run_name="__main__")
    assert stop.value.code == 2
    assert "give at least one --model" in capsys.readouterr().err


def test_progress_is_silent_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with stages() as report:
        report("measuring", 1, None)
        report("training", 2, 2, {"loss": 0.5})
    assert capsys.readouterr() == ("", "")
