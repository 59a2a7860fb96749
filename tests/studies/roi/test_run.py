"""A sweep from names to tables, from Python and from the command line."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from corpora.loader import ClipPair
from harness.cells import markdown
from harness.errors import InputError
from harness.models.sources import find_source
from harness.studies.roi import run
from harness.studies.roi.plan import SweepPlan
from harness.studies.roi.report import write_sweep
from harness.studies.roi.run import Swept
from harness.studies.roi.sweep import measurable
from harness.tables import read_table
from tests.helpers import ROOT
from tests.helpers.clips import write_clip
from tests.helpers.commands import run as type_in
from tests.helpers.roi import draw_clip

pytestmark = pytest.mark.slow
MODEL = str(ROOT / "model/tiny/mobilesal_placeholder_v0.onnx")
PLAN = SweepPlan((MODEL,), preset="ultrafast")


def test_a_clip_without_masks_is_judged_by_the_model_that_the_user_names(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "street.y4m", frames=2, size=(320, 192))
    asked = ["--model", MODEL, "--video", str(video), "--preset", "ultrafast", "--working-size", "64"]
    asked += ["--store", str(tmp_path / "jobs"), "--out", str(tmp_path / "out"), "--executor", "local:1"]
    done = type_in("roi-sweep", *asked, "--reference", "centre-prior")
    assert done.exit_code == 0, done.output
    table = read_table(tmp_path / "out" / "sweep_bdrate.csv")
    assert {"psnr_y@reference", "vmaf@reference", "psnr_y"} < set(table.rows["metric"])
    assert not table.rows["metric"].str.contains("mask").any()
    assert "where centre-prior says > 0.5, which steers too: its arm is flattered" in table.notes[3]
    assert table.rows["low"].isna().all() and table.data.keys() == {"video street", "reference centre-prior"}
    (masks,) = (tmp_path / "jobs" / "regions").iterdir()
    written = [np.asarray(Image.open(path)) for path in sorted(masks.iterdir())]
    assert len(written) == 2 and written[0].shape == (192, 320)
    assert written[0][96, 160] == 255 and written[0][0, 0] == 0


def test_a_reference_that_steers_too_is_said_to_flatter() -> None:
    judge = find_source(MODEL)
    assert run._where(judge, [judge]).startswith("where mobilesal_placeholder_v0 says > 0.5, which steers too")
    assert run._where(judge, [find_source("saliency_student_v1")]) == "where mobilesal_placeholder_v0 says > 0.5"


def test_clips_and_videos_are_not_mixed(tmp_path: Path) -> None:
    video = (tmp_path / "street.y4m",)
    for bad, says in (
        ({"videos": video}, "--video has no masks: name an independent --reference model"),
        ({"reference": MODEL}, "the masks of davis-2016 are its region"),
        ({"videos": video, "reference": MODEL, "names": ("dog",)}, "--clip names a clip of a corpus"),
    ):
        with pytest.raises(InputError, match=says):
            run.Clips(**bad)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of two clips that can be measured, and one without foreground."""
    folder = tmp_path_factory.mktemp("corpus")
    for seed, name in enumerate(("blank", "first", "second")):
        draw_clip(folder, name, seed, empty=name == "blank")
    return folder


@pytest.fixture(scope="module")
def swept(root: Path) -> tuple[Swept, list[str]]:
    """The corpus swept from Python, and what was heard, in order."""
    heard: list[str] = []
    found = run.roi_sweep(
        PLAN,
        run.Clips(root=root),
        executor="local:1",
        store=root / "jobs",
        name="small",
        progress=lambda done, total: heard.append(f"{done} of {total}"),
        announce=heard.append,
    )
    return found, heard


def test_a_clip_without_foreground_is_left_out_by_name_before_the_first_encode(
    swept: tuple[Swept, list[str]], root: Path
) -> None:
    found, heard = swept
    assert heard[:2] == ["blank is left out: no foreground in its 2 masks", "0 of 10"]
    assert set(found.rows["clip"]) == {"first", "second"}
    for table in found.tables:
        assert table.notes[-1] == "Left out: blank (no foreground in its 2 masks)."
        assert table.settings["clips"] == "2 clips (first, second), all frames"


def test_an_encoder_that_does_not_repeat_is_said_in_the_notes(
    swept: tuple[Swept, list[str]], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.roi.repeats.repeats", lambda names, settings: dict.fromkeys(names, False))
    found = run.roi_sweep(PLAN, run.Clips(root=root), executor="local:1", store=root / "jobs", name="small")
    says = f"{' and '.join(PLAN.encoders)} did not give the same bytes for the same input: a rerun may differ."
    assert {table.notes for table in found.tables} == {(*swept[0].tables[0].notes, says)}


def test_a_clip_that_fails_ends_a_sweep_or_is_left_out_of_all_tables(
    swept: tuple[Swept, list[str]], root: Path, tmp_path: Path
) -> None:
    shutil.copytree(root, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("jobs"))
    draw_clip(tmp_path, "third", 7)
    sorted((tmp_path / "DAVIS-2016/Annotations/480p/third").iterdir())[-1].write_bytes(b"no mask")
    words = ["roi-sweep", "--root", tmp_path, "--model", MODEL, "--preset", "ultrafast", "--executor", "local:1"]
    words += ["--store", tmp_path / "jobs", "--out", tmp_path / "out", "--name", "small"]
    stopped = type_in(*words)
    assert "third" in str(stopped.exception) and not (tmp_path / "out").exists()
    for more, name in (((), "bdrate"), (("--budget", "vmaf=1", "--no-oracle"), "at_cost")):
        done = type_in(*words, *more, "--keep-going")
        assert done.exit_code == 1 and "harness: third is left out: " in done.stderr, done.output
        table = read_table(tmp_path / f"out/small_{name}.csv")
        assert any(note.startswith("Left out: third (") for note in table.notes) and "--keep-going" in table.command
        assert table.data.keys() == {"davis-2016/first", "davis-2016/second"}
    rows = read_table(tmp_path / "out/small_points.csv").rows
    assert set(rows["clip"]) == {"first", "second"}
    mine = rows[rows["arm"] != "shuffled"].reset_index(drop=True)  # their partners are others
    same = swept[0].rows[swept[0].rows["arm"] != "shuffled"].reset_index(drop=True)
    assert mine["bytes"].tolist() == same["bytes"].tolist()


def test_a_sweep_of_no_clip_that_can_be_measured_encodes_nothing(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no clip can be measured .blank: no foreground in its 2 masks"):
        run.roi_sweep(PLAN, run.Clips(root=root, names=("blank",)), store=tmp_path / "jobs")
    odd = replace(PLAN, encoders=("libx264", "libkvazaar"))
    (tmp_path / "odd").mkdir()
    clip = ClipPair("odd", write_clip(tmp_path / "odd.mkv", size=(324, 180), frames=1), tmp_path / "odd")
    assert "libkvazaar takes no 324x180" in measurable([clip], odd)[1]["odd"]
    assert not (tmp_path / "jobs").exists()


def test_the_command_of_a_table_makes_the_same_files_from_the_command_line(
    swept: tuple[Swept, list[str]], root: Path
) -> None:
    """Without an encode: the store has every job. Pictures too are equal, so they have no dates and no ids."""
    found, jobs = swept[0], sorted((root / "jobs").rglob("*"))
    shown = found._repr_html_()
    assert "data:image/png" in shown and "<td>centre-prior</td>" in shown
    mine = {path.name: path.read_bytes() for path in write_sweep(found, root / "mine")}
    command, *words = shlex.split(found.tables[0].command)
    done = type_in(*words, "--store", root / "jobs", "--executor", "local:1", "--out", root / "typed")
    assert command == "harness" and done.exit_code == 0, done.output
    assert "blank is left out: no foreground in its 2 masks" in done.stderr
    assert markdown(found.summary) in done.stdout
    assert {path.name for path in (root / "typed").iterdir()} == mine.keys()
    for path in (root / "typed").iterdir():
        if path.suffix != ".md":  # it says when it was written
            assert path.read_bytes() == mine[path.name], path.name
    for table in found.tables:
        one, two = (
            replace(read_table(root / way / f"{table.name}.md", False), written="") for way in ("mine", "typed")
        )
        assert {**vars(one), "rows": 0} == {**vars(two), "rows": 0}
    assert sorted((root / "jobs").rglob("*")) == jobs
