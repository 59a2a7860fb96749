"""`saliency_mean` over clips and their encodes, and a native extractor beside the embedded one."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from corpora.loader import ClipPair, load_clips
from corpora.synth import ClipOptions, write_clips
from harness.errors import HarnessError, InputError
from harness.jobs import Store
from harness.jobs.executors import SerialExecutor
from harness.media.open import open_clip
from harness.models.model_file import ModelFile
from harness.models.registry import find_model
from harness.models.session import load_model
from harness.saliency.feature import extract
from harness.studies.score import feature
from harness.studies.score.feature import FeaturePlan, feature_rows, native_parity
from tests.helpers import ROOT
from tests.helpers.models import write_student
from tests.helpers.vmaf import documented_vmaf

PLAN = FeaturePlan((23, 43), frames=5, every=2)

# Keeps the documented command line of the fork's tool: answers by the embedded extractor, or beside it, or refuses;
# builds that do not pad or print six decimals only are on record.
VMAF = """
if {six} and "--precision" in args:
    sys.exit("vmaf: unrecognized option '--precision'")
sys.path.insert(0, {root!r})
from pathlib import Path
from harness.media.open import open_clip
from harness.saliency.feature import extract
from harness.models import session
from harness.models.session import load_model
session.MULTIPLE = {multiple}
weights = Path(os.environ["VMAF_MOBILESAL_MODEL_PATH"])
if weights.stem == {refused!r}:
    sys.exit("operator not admitted")
raw, width, height, chroma = (args[args.index(name) + 1] for name in ("-d", "-w", "-h", "-p"))
clip = open_clip(raw, (int(width), int(height)), "yuv" + chroma + "p")
means = [round(float(sample.means[0] + {off}), 6 if {six} else 20) for sample in extract(clip, [load_model(weights)])]
frames = [dict(frameNum=n, metrics=dict(saliency_mean=mean)) for n, mean in enumerate(means)]
json.dump(dict(version="fork", frames=frames), open(args[args.index("-o") + 1], "w"))
"""


def native_extractor(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    off: float = 0.0,
    refused: str = "",
    multiple: int = 8,
    six: bool = False,
) -> None:
    """Put a program that keeps the native tool's protocol where it is looked for; it stands in for that only."""
    path = documented_vmaf(folder, VMAF.format(root=str(ROOT), off=off, refused=refused, multiple=multiple, six=six))
    monkeypatch.setenv("HARNESS_VMAF", str(path))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[ClipPair]:
    root = tmp_path_factory.mktemp("clips")
    write_clips(root, ClipOptions(count=2, frames=6, size=(96, 64)))
    return load_clips("synth-clips", root)


@pytest.fixture
def models(tmp_path: Path) -> list[ModelFile]:
    paths = [write_student(tmp_path / f"{name}.onnx", gain) for name, gain in (("old", 1.0), ("new", 2.0))]
    return [find_model(str(path)) for path in paths]


@pytest.mark.slow
def test_a_row_is_the_mean_over_the_frames_read(clips: list[ClipPair], models: list[ModelFile], tmp_path: Path) -> None:
    rows = feature_rows(clips, models, PLAN, SerialExecutor, Store(tmp_path / "jobs"))
    assert len(rows) == 2 * 3 * 2 and set(rows["frames"]) == {3}
    model = load_model(models[1])
    means = [sample.means[0] for sample in extract(open_clip(clips[0].frames), [model])]
    source = rows[(rows["clip"] == clips[0].name) & (rows["version"] == "source") & (rows["model"] == "new")]
    assert source["saliency_mean"].item() == pytest.approx(np.mean(means[:5:2]), abs=1e-12)
    by_version = rows[rows["model"] == "new"].pivot(index="clip", columns="version", values="saliency_mean")
    assert (
        (by_version["crf 43"] - by_version["source"]).abs() > (by_version["crf 23"] - by_version["source"]).abs()
    ).all()


@pytest.mark.slow
def test_a_second_run_measures_nothing(
    clips: list[ClipPair], models: list[ModelFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = feature_rows(clips, models, PLAN, SerialExecutor, Store(tmp_path))
    monkeypatch.setattr(feature, "extract", lambda *_: pytest.fail("measured again"))
    assert feature_rows(clips, models, PLAN, SerialExecutor, Store(tmp_path)).equals(first)


def test_two_models_of_one_name_are_refused(clips: list[ClipPair], models: list[ModelFile]) -> None:
    with pytest.raises(InputError, match="two models named 'old'"):
        feature_rows(clips, [models[0], models[0]], PLAN, SerialExecutor)


@pytest.mark.slow
@pytest.mark.parametrize("off", [0.0, 1e-3])
def test_a_native_extractor_is_held_beside_the_embedded_one(
    clips: list[ClipPair], models: list[ModelFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, off: float
) -> None:
    native_extractor(tmp_path, monkeypatch, off)
    found = native_parity(clips[0], models[1], models[0], PLAN)
    (row,) = found.rows.to_dict("records")
    assert (found.native, row["clip"], row["model"], row["frames"]) == ("vmaf-cli", clips[0].name, "new", 5)
    assert row["max_abs_diff"] == pytest.approx(off, abs=1e-6)


@pytest.mark.slow
def test_a_model_that_the_native_extractor_refuses_is_an_error_and_no_absence(
    clips: list[ClipPair], models: list[ModelFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    native_extractor(tmp_path, monkeypatch, refused="new")
    with pytest.raises(HarnessError, match="operator not admitted"):
        native_parity(clips[0], models[1], models[0], PLAN)


def test_without_a_native_extractor_the_reason_is_given(
    clips: list[ClipPair], models: list[ModelFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_VMAF", str(tmp_path / "no-vmaf"))
    found = native_parity(clips[0], models[1], models[0], PLAN)
    assert found.native is None and found.rows.empty and found.reason.startswith("vmaf-cli: no program")


@pytest.mark.slow
def test_encodes_repeat_to_the_byte(pictures: Path, tmp_path: Path) -> None:
    packets = []
    for name in ("one.mkv", "two.mkv", "three.mkv"):
        feature._encode(pictures, 24, 43, "medium", tmp_path / name)
        with av.open(str(tmp_path / name)) as container:
            packets.append([bytes(packet) for packet in container.demux(video=0)])
    assert packets[0] == packets[1] == packets[2]


def test_no_frames_are_an_error(clips: list[ClipPair], models: list[ModelFile], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    shutil.copy(clips[0].frames, empty / "clip.y4m")
    content = (empty / "clip.y4m").read_bytes()
    (empty / "clip.y4m").write_bytes(content[: content.index(b"FRAME\n")])
    with pytest.raises(HarnessError):
        feature_rows([ClipPair("empty", empty / "clip.y4m", clips[0].masks)], models, PLAN, SerialExecutor)


def odd_clip(folder: Path) -> ClipPair:
    write_clips(folder, ClipOptions(count=1, frames=2, size=(90, 58)))
    return load_clips("synth-clips", folder)[0]


@pytest.mark.slow
def test_a_build_that_does_not_pad_decides_nothing_where_sides_need_it(
    clips: list[ClipPair], models: list[ModelFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both students look at single pixels, so that they would have passed: what is asked is the build."""
    native_extractor(tmp_path, monkeypatch, multiple=1)
    odd, plan = odd_clip(tmp_path / "odd"), FeaturePlan((23,), frames=2)
    found = native_parity(odd, models[1], models[0], plan)
    assert found.native is None and found.rows.empty
    assert found.reason.startswith("vmaf-cli does not pad sides that are no multiple of 8: ")
    assert native_parity(clips[0], models[1], models[0], plan).native == "vmaf-cli"
    native_extractor(tmp_path, monkeypatch)
    assert native_parity(odd, models[1], models[0], plan).native == "vmaf-cli"


@pytest.mark.slow
def test_a_tool_that_does_not_know_the_flag_for_full_precision_is_read_to_six_decimals(
    clips: list[ClipPair], models: list[ModelFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    native_extractor(tmp_path, monkeypatch, six=True)
    found = native_parity(clips[0], models[1], models[0], PLAN)
    assert found.reason.startswith("vmaf-cli runs mobilesal, to six decimals, as it does not take --precision max (")
    assert found.rows["digits"].tolist() == ["six decimals"] and 0 < found.rows["max_abs_diff"].iloc[0] <= 5e-7
    native_extractor(tmp_path, monkeypatch)
    precise = native_parity(clips[0], models[1], models[0], PLAN)
    assert precise.rows["digits"].tolist() == ["all"] and precise.rows["max_abs_diff"].iloc[0] < 1e-12
