"""Square frames, views made on the device, teachers, and steps that are one graph; skipped without torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from corpora.loader import Pair, load_pairs
from corpora.synth import ImageOptions, write_images
from harness.cli.train import train as train_commands
from harness.errors import InputError
from train.data import validation_split

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
TINY = {
    "epochs": 2, "batch_size": 8, "short_side": 48, "crop_size": 32, "val_short_side": 32, "small_size": 32,
    "small_epochs": 1, "frame_side": 48, "validate_every": 1, "calm_epochs": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("squares")
    write_images(folder, ImageOptions(count=80, size=(72, 80), seed=5))
    return folder


@pytest.fixture(scope="module")
def pairs(corpus: Path) -> list[Pair]:
    return load_pairs("synth", corpus)[:32]


@pytest.fixture(scope="module")
def teacher(pairs: list[Pair], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_once(pairs, tmp_path_factory.mktemp("teacher") / "run", "teacher", epochs=1, small_epochs=0)


def run_once(pairs: list[Pair], folder: Path, student: str = "v4", **options: object) -> Path:
    from train.loop import train
    from train.recipe import Recipe, load_recipe

    named = {key: options.pop(key) for key in ("resume", "progress", "lesson", "start_from") if key in options}
    known = Recipe.__dataclass_fields__
    recipe = load_recipe(student, **TINY | {key: value for key, value in options.items() if key in known})
    train(recipe, pairs, folder, folder.parent / "cache", "cpu", threads=1, **named)  # type: ignore[arg-type]
    return folder


def final(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "final.pt", weights_only=True)["student"]


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def frames_of(count: int, side: int = 64) -> torch.Tensor:
    """Smooth pictures whose red is their mask: `[count, side, side, 4]`."""
    draw = torch.rand(count, 2, 5, 5, generator=torch.Generator().manual_seed(1))
    smooth = torch.nn.functional.interpolate(draw, size=(side, side), mode="bicubic").clamp(0, 1)
    frames = torch.zeros(count, side, side, 4)
    frames[..., 0], frames[..., 3] = (smooth[:, 0] > 0.5), (smooth[:, 0] > 0.5)
    frames[..., 1] = smooth[:, 1]
    return (frames * 255).byte()


def test_a_student_fits_its_budget_and_a_teacher_its_range() -> None:
    from train.students.registry import build_student, trainable_parameters

    assert trainable_parameters(build_student("v4")) <= 300_000
    assert 3e6 <= trainable_parameters(build_student("teacher")) <= 6e6


@pytest.mark.slow
def test_masks_go_where_their_pictures_go() -> None:
    from train.views import DRAWS, MEAN, STD, ViewRanges, batch_of

    frames, draws = frames_of(32), torch.rand(32, DRAWS, generator=torch.Generator().manual_seed(2))
    ranges = ViewRanges(0.6, 2.0, turn=15, paste=0.5)
    images, layers = batch_of(frames, torch.arange(32), 96, ranges, draws)
    assert images.shape == (32, 3, 96, 96) and layers.shape == (32, 1, 96, 96)
    red = images[:, 0] * STD[0] + MEAN[0]
    assert ((red > 0.5) != (layers[:, 0] > 0.5)).float().mean() < 0.01
    again, _ = batch_of(frames, torch.arange(32), 96, ranges, draws)
    assert torch.equal(images, again)
    still, _ = batch_of(frames, torch.arange(32), 96, ViewRanges(0.6, 2.0), draws)
    assert not torch.equal(still, images)


def test_a_whole_view_is_the_frame_or_its_mirror_image() -> None:
    from train.views import DRAWS, ViewRanges, batch_of

    frames, draws = frames_of(8), torch.rand(8, DRAWS, generator=torch.Generator().manual_seed(3))
    _, layers = batch_of(frames, torch.arange(8), 64, ViewRanges(smallest=1.0), draws)
    truth = (frames[..., 3] > 0).float()
    for row in range(8):
        expected = truth[row].flip(1) if draws[row, 5] < 0.5 else truth[row]
        assert (layers[row, 0] != expected).float().mean() < 0.01


def test_a_view_that_shrinks_a_frame_does_not_alias() -> None:
    from train.views import DRAWS, ViewRanges, batch_of

    stripes = torch.zeros(4, 96, 96, 4, dtype=torch.uint8)
    stripes[:, :, ::2] = 255
    draws = torch.full((4, DRAWS), 0.99)
    wide, _ = batch_of(stripes, torch.arange(4), 48, ViewRanges(1.0, 1.0), draws)
    assert wide[:, 0].std() < 0.6  # plain sampling gives 1 and more


@pytest.mark.slow
def test_the_gradient_of_doubling_is_that_of_torch() -> None:
    from train.students.v3 import Doubled

    x = torch.randn(2, 3, 4, 6, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(Doubled.apply, (x,))


def test_a_fine_grid_at_1080p_comes_down_as_its_mean() -> None:
    from train.students.frames import factor_for, steps_of
    from train.students.v3 import resized

    grid = torch.zeros(1, 3, 1080, 1920)
    grid[:, :, :, ::4] = 1
    mean, seen = 1 / 4, steps_of(grid, factor_for(1080))
    assert seen.shape == (1, 3, 256, 256) and (seen - mean).abs().max() < 1e-5
    sampled = torch.nn.functional.avg_pool2d(resized(grid, (513, 513), align_corners=True), 3, 2)
    assert (sampled - mean).abs().mean() > 0.05  # what v3 does


@pytest.mark.slow
@pytest.mark.parametrize("size", [(96, 160), (600, 700), (1026, 1024), (601, 701)])
def test_v4_is_the_same_graph_at_every_size(size: tuple[int, int], tmp_path: Path) -> None:
    import onnx

    from train.export import export
    from train.students.registry import build_student

    torch.manual_seed(5)
    student = build_student("v4").eval()
    torch.nn.init.normal_(student.head.weight, std=100)
    student.shift = 0.0  # what the fold says of trained weights says nothing of these
    path = tmp_path / "steep.onnx"
    if size == (96, 160):  # export looks at many sizes and raises above 1e-5
        assert export(student, path).facts.operators.count("If") == 1
        assert any(node.op_type == "If" for node in onnx.load(path).graph.node)
    blobs = 2 * torch.randn(1, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    map_ = student(torch.nn.functional.interpolate(blobs, size=size))
    assert map_.shape == (1, 1, *size) and map_.std() > 0.2 and map_.min() >= 0 and map_.max() <= 1


@pytest.mark.slow
def test_a_resumed_run_ends_in_the_same_weights(pairs: list[Pair], tmp_path: Path) -> None:
    whole = run_once(pairs, tmp_path / "whole")
    rows = [json.loads(line) for line in (whole / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2] and all(row["val_iou_whole"] >= 0 for row in rows)

    def stop(stage: str, done: int, total: int, values: dict[str, float]) -> None:
        if stage.startswith("epoch 1"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_once(pairs, tmp_path / "stopped", progress=stop)
    assert not (tmp_path / "stopped" / "final.pt").exists()
    assert same(final(whole), final(run_once(pairs, tmp_path / "stopped", resume=True)))
    assert not same(final(whole), final(run_once(pairs, tmp_path / "other", seed=7)))


@pytest.mark.slow
def test_epochs_without_validation_have_a_row_and_are_not_the_best(pairs: list[Pair], tmp_path: Path) -> None:
    from train.publish import read_run

    folder = run_once(pairs, tmp_path / "run", epochs=2, validate_every=2)
    rows = read_run(folder).history
    assert rows[0].val_iou is None and rows[1].val_iou is not None and read_run(folder).best.epoch == 2


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
def test_learners_share_their_views_and_nothing_else() -> None:
    from train.graph import Steps, learner
    from train.losses import LOSSES
    from train.students.registry import build_student
    from train.views import ViewRanges

    learners = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        learners.append(learner(build_student("v4"), build_student("v4"), 0.01, torch.device("cpu")))
    steps = Steps(frames_of(16), torch.arange(16), learners, LOSSES["structure"], ViewRanges(0.7, 1.5), 8, 0.4)
    steps.start_epoch()
    for _ in range(2):
        steps.run(32, 1e-3, 0.5)
    first, second, third = (one.net.state_dict() for one in learners)
    assert same(first, second) and not same(first, third)
    kept = learners[0].average.state_dict()
    assert not torch.equal(kept["head.weight"], first["head.weight"])


@pytest.mark.slow
def test_the_last_epochs_are_calm() -> None:
    from train.graph import Steps, learner
    from train.losses import LOSSES
    from train.resident import Course, run_course
    from train.students.registry import build_student
    from train.views import ViewRanges

    loud, calm = ViewRanges(0.7, turn=40, paste=0.9, blur=0.9), ViewRanges(0.7)
    losses = {}
    for name, ranges, ends in (("loud", loud, loud), ("calm", calm, calm), ("both", loud, calm)):
        torch.manual_seed(3)
        one = learner(build_student("v4"), build_student("v4"), 0.01, torch.device("cpu"))
        steps = Steps(frames_of(8), torch.arange(8), [one], LOSSES["structure"], ranges, 8, 0.4, calm=ends)
        seen: list[float] = []
        course = Course(0.0, 0.9, (32,), epochs=2, calm_from=0.5)  # at rate 0 a loss is that of the views alone
        run_course(steps, course, lambda net: {}, lambda epoch, into=seen: into.append(epoch.losses[0]), seed=1)
        losses[name] = seen
    assert losses["both"] == [losses["loud"][0], losses["calm"][1]]
    assert losses["loud"][0] != losses["calm"][0]


def test_what_a_capture_trains_is_undone() -> None:
    from train.graph import Steps, learner
    from train.losses import LOSSES
    from train.students.registry import build_student
    from train.views import ViewRanges

    one = learner(build_student("v4"), build_student("v4"), 0.01, torch.device("cpu"))
    steps = Steps(frames_of(8), torch.arange(8), [one], LOSSES["structure"], ViewRanges(0.7), 8, 0.4)
    begun = {name: value.clone() for name, value in one.net.state_dict().items()}
    before = steps.remembered()
    steps.run(32, 1e-2, 0.0)
    assert not same(begun, one.net.state_dict())
    steps.put_back(before)
    assert same(begun, one.net.state_dict())
    assert all(float(value.abs().sum()) == 0 for state in one.optimiser.state.values() for value in state.values())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_captured_step_is_the_plain_one() -> None:
    from train.graph import Steps, learner
    from train.losses import LOSSES
    from train.students.registry import build_student
    from train.views import ViewRanges

    device, nets = torch.device("cuda"), []
    for captured in (False, True):
        torch.manual_seed(0)
        one = learner(build_student("v4"), build_student("v4"), 0.01, device)
        frames, order = frames_of(64).to(device), torch.arange(64, device=device)
        steps = Steps(frames, order, [one], LOSSES["structure"], ViewRanges(0.7), 16, 0.4)
        if captured:
            before = steps.remembered()
            assert steps.capture(64).startswith("graph")
            steps.put_back(before)
        torch.manual_seed(1)
        steps.start_epoch()
        for _ in range(4):
            steps.run(64, 1e-3, 0.9)
        nets.append(float(one.loss_sum))
    assert nets[0] == pytest.approx(nets[1], rel=0.05)


@pytest.mark.slow
def test_a_course_ends_at_its_epochs_or_in_time() -> None:
    import time

    from train.graph import Steps, learner
    from train.losses import LOSSES
    from train.resident import Course, run_course
    from train.students.registry import build_student
    from train.views import ViewRanges

    course = Course(1e-3, 0.9, (32, 64), small_share=0.5, epochs=4)
    assert course.rate_at(0) < 1e-4 and course.rate_at(0.03) == pytest.approx(1e-3) and course.rate_at(1) < 1e-9
    one = learner(build_student("v4"), build_student("v4"), 0.01, torch.device("cpu"))
    steps = Steps(frames_of(8), torch.arange(8), [one], LOSSES["structure"], ViewRanges(0.7), 8, 0.4)
    seen = []
    assert run_course(steps, course, lambda net: {}, seen.append) == 4
    assert [epoch.size for epoch in seen] == [32, 32, 64, 64] and seen[-1].progress == 1
    until = time.monotonic() + 6
    timed = Course(1e-3, 0.9, (32,), deadline=until)
    assert run_course(steps, timed, lambda net: {}, seen.append) >= 1
    assert time.monotonic() < until + 3 and seen[-1].progress > 0.9  # a machine that is suddenly busy ends it early


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


def test_an_error_at_an_outline_costs_more_than_one_far_from_it() -> None:
    from train.losses import structure, supervised

    truth = torch.zeros(1, 1, 96, 96)
    truth[:, :, 32:64, 32:64] = 1
    right = (truth * 2 - 1) * 4
    losses = []
    for row, column in ((31, 48), (4, 4)):
        wrong = right.clone()
        wrong[:, :, row, column] = 4
        losses.append(float(structure(wrong, truth)))
    assert losses[0] > losses[1] > float(structure(right, truth))
    small = torch.nn.functional.avg_pool2d(right, 8)
    whole, coarse = (float(supervised(structure, (right, small), truth, 0.5, step)) for step in (1, 2))
    assert whole != coarse and min(whole, coarse) > float(structure(right, truth))
