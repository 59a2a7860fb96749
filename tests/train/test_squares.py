"""Square frames, views made on the device, and steps that are one graph; skipped without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from corpora.loader import Pair
from harness.errors import HarnessError
from tests.helpers.training import final, frames_of, run_once, same

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

if TYPE_CHECKING:
    from train.students.blocks import Student


def test_a_student_fits_its_budget_and_a_teacher_its_range() -> None:
    from train.students.registry import build_student, trainable_parameters

    assert all(trainable_parameters(build_student(name)) <= 300_000 for name in ("v4", "v5"))
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
    from train.students import v5
    from train.students.frames import factor_for, steps_of
    from train.students.v3 import resized

    grid = torch.zeros(1, 3, 1080, 1920)
    grid[:, :, :, ::4] = 1
    mean, seen = 1 / 4, steps_of(grid, factor_for(1080))
    assert seen.shape == (1, 3, 256, 256) and (seen - mean).abs().max() < 1e-5
    sampled = torch.nn.functional.avg_pool2d(resized(grid, (513, 513), align_corners=True), 3, 2)
    assert (sampled - mean).abs().mean() > 0.05  # what v3 does
    finer = v5.steps_of(grid)
    assert v5.steps_of(grid[:, :, :511]).shape == (1, 3, 288, 288)
    assert finer.shape == (1, 3, 256, 256) and (finer - mean).abs().max() < 1e-5


def steep(name: str) -> Student:
    """A student with random weights whose maps are far from flat."""
    from train.students.registry import build_student

    torch.manual_seed(5)
    student = build_student(name).eval()
    torch.nn.init.normal_(student.head.weight, std=100)
    student.shift = 0.0  # what the fold says of trained weights says nothing of these
    return student


@pytest.mark.slow
@pytest.mark.parametrize(("lines", "moved"), [(511, True), (512, False)])
def test_v5_hears_of_the_mirror_image_of_small_frames(lines: int, moved: bool) -> None:
    student = steep("v5")
    picture = torch.nn.functional.interpolate(torch.randn(1, 3, 9, 9), size=(lines, 640))
    with torch.inference_mode():
        before = student(picture)
        torch.nn.init.constant_(student.head16.bias, 9)
        assert bool((student(picture) - before).abs().max() > 0.01) == moved


@pytest.mark.slow
@pytest.mark.parametrize("name", ["v4", "v5"])
@pytest.mark.parametrize("size", [(96, 160), (600, 700), (1026, 1024), (601, 701), (1028, 1100), (1027, 1100)])
def test_one_graph_serves_every_size(size: tuple[int, int], name: str, tmp_path: Path) -> None:
    import onnx

    from train.export import export

    student, path = steep(name), tmp_path / "steep.onnx"
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

    heard = []

    def stop(stage: str, done: int, total: int, values: dict[str, float]) -> None:
        heard.append((stage, done, total))
        if stage == "epochs":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_once(pairs, tmp_path / "stopped", progress=stop)
    steps = [done for stage, done, total in heard if stage == "epoch 1/2" and total == 2]
    assert steps == [1, 2] and heard[-1] == ("epochs", 1, 2)  # on a CPU an epoch takes minutes: its steps are heard
    assert not (tmp_path / "stopped" / "final.pt").exists()
    assert same(final(whole), final(run_once(pairs, tmp_path / "stopped", resume=True)))
    assert not same(final(whole), final(run_once(pairs, tmp_path / "other", seed=7)))


@pytest.mark.slow
def test_a_run_that_diverges_keeps_what_it_had(
    pairs: list[Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from train.losses import LOSSES, structure

    scale = [1.0]
    monkeypatch.setitem(LOSSES, "structure", lambda *both: structure(*both) * scale[0])
    kept: dict[str, bytes] = {}
    folder, names = tmp_path / "run", ("history.jsonl", "checkpoint.pt", "best.pt")

    def diverge(stage: str, done: int, total: int, values: dict[str, float]) -> None:
        if stage == "epochs":
            kept.update({name: (folder / name).read_bytes() for name in names})
            scale[0] = float("nan")

    with pytest.raises(HarnessError, match="epoch 2: the loss is nan; lower the learning rate"):
        run_once(pairs, folder, progress=diverge)
    assert kept == {name: (folder / name).read_bytes() for name in names}
    assert not (folder / "final.pt").exists()


def test_an_epoch_whose_loss_is_not_finite_is_not_heard_of() -> None:
    from train.graph import Steps, learner
    from train.losses import LOSSES
    from train.resident import Course, run_course
    from train.students.registry import build_student
    from train.views import ViewRanges

    two = [learner(build_student("v4"), build_student("v4"), 0.01, torch.device("cpu")) for _ in range(2)]
    torch.nn.init.constant_(two[1].net.head.bias, float("nan"))
    heard: list[int] = []
    for learners, said in ((two, r"losses are \[\d.*, nan\]"), (two[1:], "loss is nan")):
        steps = Steps(frames_of(8), torch.arange(8), learners, LOSSES["structure"], ViewRanges(0.7), 8, 0.4)
        with pytest.raises(HarnessError, match=f"epoch 1: the {said}; lower"):
            run_course(steps, Course(0.0, 0.9, (32,), epochs=1), lambda net: {}, lambda epoch: heard.append(1), seed=1)
    assert not heard


@pytest.mark.slow
def test_epochs_without_validation_have_a_row_and_are_not_the_best(pairs: list[Pair], tmp_path: Path) -> None:
    from train.publish import read_run

    folder = run_once(pairs, tmp_path / "run", epochs=2, validate_every=2)
    rows = read_run(folder).history
    assert rows[0].val_iou is None and rows[1].val_iou is not None and read_run(folder).best.epoch == 2


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
