"""What is trained on beside the first corpus is held against every test set at hand, and what was not is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra `train` is not installed")

from corpora.loader import load_pairs
from corpora.synth import ImageOptions, write_images
from harness.errors import InputError
from harness.files import read_json
from tests.helpers.training import run_once
from train import union
from train.distil import Lesson
from train.union import TEST_SETS, TrainingSet, lesson_of, training_set


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of corpora that no variable names: `synth`, `HKU-IS`, and `ECSSD`, which has one picture of each."""
    monkeypatch.delenv("HARNESS_CORPORA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setattr(union, "load_teacher", lambda run: None)
    root = tmp_path / "data"
    root.mkdir()
    for name, seed, count in (("synth", 5, 24), ("HKU-IS", 99, 3), ("ECSSD", 7, 1)):
        drawn = write_images(tmp_path / "drawn", ImageOptions(count=count, size=(64, 64), seed=seed))
        shutil.move(drawn, root / name)
    tested = load_pairs("ecssd", root)[0]
    for kind, path in (("images", tested.image), ("masks", tested.mask)):
        shutil.copy(path, root / "HKU-IS" / kind / f"tested{path.suffix}")
    return root


def test_test_sets_below_the_root_are_compared_with(data: Path) -> None:
    found = training_set(["synth", "hku-is"], [data])
    assert found.rejected == {"hku-is": 1} and len(found.more) == 3
    assert set(found.unchecked) == set(TEST_SETS) - {"ecssd"}


def test_a_root_with_images_and_masks_is_not_taken_for_a_test_set(data: Path) -> None:
    found = training_set(["synth", "hku-is"], [data / "synth", data / "HKU-IS"])
    assert found.rejected == {"hku-is": 0} and set(found.unchecked) == set(TEST_SETS)


def test_pictures_without_masks_are_too_and_what_was_not_at_hand_is_said(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alone = training_set(["synth"], [data])
    lesson = lesson_of(tmp_path, 0.7, [data / "HKU-IS" / "images"], alone)
    assert lesson and lesson.rejected == 1 and len(lesson.unlabelled) == 3
    assert alone.unchecked == () and set(lesson.unchecked) == set(TEST_SETS) - {"ecssd"}
    assert sorted(line.split()[1] for line in caplog.messages) == sorted(lesson.unchecked)
    caplog.clear()
    lesson_of(tmp_path, 0.7, [data / "HKU-IS" / "images"], training_set(["synth", "hku-is"], [data]))
    assert not caplog.messages  # said with the corpora already


def test_a_weight_of_no_teacher_is_refused(tmp_path: Path) -> None:
    alone = TrainingSet(("synth",), [])
    assert lesson_of(None, 0.7, (), alone) is None
    with pytest.raises(
        InputError, match=r"teacher weight is 5, and there is no teacher \(allowed: a weight with --teac"
    ):
        lesson_of(None, 5.0, (), alone)


def test_a_run_keeps_what_was_not_at_hand_for_its_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Claimed(Exception):
        pass

    def stop(*_: object) -> None:
        raise Claimed

    monkeypatch.setattr("train.loop.run_squares", stop)
    monkeypatch.setattr(Lesson, "about", {"student": "teacher"})
    write_images(tmp_path / "corpus", ImageOptions(count=24, size=(64, 64), seed=5))
    pairs = load_pairs("synth", tmp_path / "corpus")
    with pytest.raises(Claimed):
        run_once(pairs, tmp_path / "run", lesson=Lesson(tmp_path, unchecked=("ecssd",)))
    assert read_json(tmp_path / "run" / "run.json")["unchecked"] == ["ecssd"]


def test_test_sets_are_never_trained_on(corpus: Path) -> None:
    with pytest.raises(InputError, match="ecssd is a test set"):
        training_set(["duts-tr", "ecssd"], [corpus])
    with pytest.raises(InputError, match="named twice"):
        training_set(["synth", "synth"], [corpus])
    with pytest.raises(InputError, match="3 roots for 2 corpora"):
        training_set(["synth", "hku-is"], [corpus] * 3)
