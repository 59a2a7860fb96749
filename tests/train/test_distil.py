"""A teacher's maps in a student's targets, of pictures with masks and without; skipped without torch."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from corpora.loader import Pair, load_pairs
from corpora.synth import ImageOptions, write_images
from harness.cli.train import train as train_commands
from harness.errors import InputError
from tests.helpers.training import final, frames_of, run_once, same
from train.data import validation_split

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")


@pytest.fixture(scope="module")
def teacher(pairs: list[Pair], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_once(pairs, tmp_path_factory.mktemp("teacher") / "run", "teacher", epochs=1, small_epochs=0)


@pytest.mark.slow
def test_a_teacher_changes_the_target_by_its_weight(pairs: list[Pair], teacher: Path, tmp_path: Path) -> None:
    from train.distil import Lesson

    plain = run_once(pairs, tmp_path / "plain")
    none = run_once(pairs, tmp_path / "none", lesson=Lesson(teacher, 0.0))
    most = run_once(pairs, tmp_path / "most", lesson=Lesson(teacher, 0.7))
    assert same(final(plain), final(none)) and not same(final(plain), final(most))
    about = json.loads((most / "run.json").read_text())["teacher"]
    assert about["student"] == "teacher" and about["weight"] == 0.7 and len(about["best_pt_sha256"]) == 64
    assert list((tmp_path / "cache").glob("*.maps"))  # kept, and not made again
    with pytest.raises(InputError, match="cannot resume, its teacher is"):
        run_once(pairs, most, lesson=Lesson(teacher, 0.5), resume=True)


@pytest.mark.slow
def test_kept_maps_are_the_teachers_own(pairs: list[Pair], teacher: Path, tmp_path: Path) -> None:
    from train.distil import both_looks, kept_maps, load_teacher
    from train.squares import square_frames
    from train.students.registry import build_student
    from train.views import MEAN, STD

    frames = square_frames(pairs[:20], 64, tmp_path)
    assert frames.shape == (20, 64, 64, 4) and set(np.unique(frames[..., 3])) == {0, 255}
    kept = kept_maps(load_teacher(teacher), "key", frames, tmp_path)
    unfolded = build_student("teacher").eval()
    unfolded.load_state_dict(torch.load(teacher / "best.pt", weights_only=True)["student"])
    pictures = torch.from_numpy(np.array(frames[:4, :, :, :3])).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    seen = torch.nn.functional.interpolate(pictures, size=(256, 256), mode="bilinear", antialias=True)
    with torch.inference_mode():
        looks = torch.nn.functional.interpolate(both_looks(unfolded, (seen - mean) / std), size=(64, 64), mode="area")
    assert np.abs(kept[:4, :, :, 0] / 255 - looks[:, 0].numpy()).mean() < 0.01


@pytest.mark.slow
def test_maps_that_a_killed_run_had_are_not_made_again(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from train import distil

    monkeypatch.setattr(distil, "BLOCK", 8)
    monkeypatch.setattr(distil, "BATCH", 4)
    frames = np.random.default_rng(0).integers(0, 256, (21, 32, 32, 4), np.uint8)
    net, heard = distil.load_teacher(teacher), list[int]()

    def until(last: int, done: int, total: int) -> None:
        heard.append(done)
        if done == last:
            raise KeyboardInterrupt

    whole = np.array(distil.kept_maps(net, "whole", frames, tmp_path))
    with pytest.raises(KeyboardInterrupt):
        distil.kept_maps(net, "cut", frames, tmp_path, lambda done, total: until(12, done, total))
    assert heard == [4, 8, 12] and [path.name for path in tmp_path.glob("cut*")] == ["cut-0.maps"]
    again = distil.kept_maps(net, "cut", frames, tmp_path, lambda done, total: until(-1, done, total))
    assert heard[3:] == [12, 16, 20, 21] and (again == whole).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.maps", "whole.maps"]


def test_two_runs_with_one_teacher_make_its_maps_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from train import distil

    monkeypatch.setattr(distil, "BLOCK", 8)
    frames = np.zeros((21, 4, 4, 4), np.uint8)
    looked, found = list[int](), list[np.ndarray]()
    both = threading.Barrier(2)

    def looked_at(teacher: object, some: np.ndarray, maps: np.ndarray) -> Iterator[int]:
        looked.append(len(some))
        time.sleep(0.05)  # the other comes meanwhile
        maps[:] = 7
        yield len(some)

    def want() -> None:
        both.wait()
        found.append(np.array(distil.kept_maps(None, "key", frames, tmp_path)))  # type: ignore[arg-type]

    monkeypatch.setattr(distil, "_looked_at", looked_at)
    runs = [threading.Thread(target=want) for _ in range(2)]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    assert looked == [8, 8, 5] and [maps.min() for maps in found] == [7, 7]
    assert [path.name for path in tmp_path.iterdir()] == ["key.maps"]


@pytest.mark.slow
def test_pictures_without_masks_learn_from_the_teacher_alone(
    pairs: list[Pair], teacher: Path, corpus: Path, tmp_path: Path
) -> None:
    from train.graph import Steps, learner
    from train.losses import LOSSES
    from train.students.registry import build_student
    from train.union import lesson_of, training_set
    from train.views import ViewRanges

    more = tmp_path / "more"
    more.mkdir()
    write_images(tmp_path / "others", ImageOptions(count=5, size=(64, 64), seed=99))
    for pair in load_pairs("synth", tmp_path / "others"):
        shutil.copy(pair.image, more / pair.image.name)
    held = load_pairs("synth", corpus)[validation_split(80)[1][0]].image
    shutil.copy(held, more / f"copy{held.suffix}")
    lesson = lesson_of(teacher, 0.7, [more], training_set(["synth"], [corpus]))
    assert lesson and len(lesson.unlabelled) == 5 and lesson.rejected == 1
    folder = run_once(pairs, tmp_path / "run", lesson=lesson, epochs=1)
    assert json.loads((folder / "run.json").read_text())["teacher"]["unlabelled"] == 5

    frames, losses = frames_of(8), []
    maps = torch.full((8, 64, 64, 1), 200, dtype=torch.uint8)
    for labelled in (True, False):
        for inverted in (False, True):
            torch.manual_seed(0)
            one = learner(build_student("v4"), build_student("v4"), 0.0, torch.device("cpu"))
            masks = frames.clone()
            masks[..., 3] = 255 - masks[..., 3] if inverted else masks[..., 3]
            steps = Steps(
                masks, torch.arange(8), [one], LOSSES["bce+iou"], ViewRanges(1.0), 8, 0.4, None, 0.5, maps=maps,
                labelled=torch.full((8,), labelled),
            )  # fmt: skip
            steps.run(32, 0.0, 0.0)
            losses.append(float(one.loss_sum))
    assert losses[0] != losses[1] and losses[2] == losses[3]


@pytest.mark.slow
def test_teachers_that_cannot_teach_are_refused(pairs: list[Pair], teacher: Path, tmp_path: Path) -> None:
    from train.distil import Lesson
    from train.union import TrainingSet, lesson_of

    with pytest.raises(InputError, match=r"teacher weight is 1\.5"):
        Lesson(teacher, 1.5)
    with pytest.raises(InputError, match="no teacher"):
        lesson_of(tmp_path, 0.7, (), TrainingSet(("synth",), pairs))
    with pytest.raises(InputError, match="is no folder of pictures"):
        lesson_of(teacher, 0.7, [tmp_path / "none"], TrainingSet(("synth",), pairs))
    with pytest.raises(InputError, match="needs a recipe with frame_side, and v3's has none"):
        run_once(pairs, tmp_path / "run", "v3", frame_side=None, lesson=Lesson(teacher, 0.7))
    app = typer.Typer()
    train_commands.register(app)
    app.command("other")(lambda: None)
    done = CliRunner().invoke(app, ["train", "--student", "v4", "--unlabelled", str(tmp_path)])
    assert isinstance(done.exception, InputError) and "need a teacher" in str(done.exception)
    done = CliRunner().invoke(app, ["train", "--student", "v4", "--register", "no id"])  # said before the first epoch
    assert isinstance(done.exception, InputError) and "'no id'" in str(done.exception)
