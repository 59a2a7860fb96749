"""Students, data, loop and export on small generated corpora; skipped without torch."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpora.loader import Pair, load_pairs
from corpora.synth import ImageOptions, write_images
from harness.errors import InputError
from harness.files import sha256_of
from tests.helpers import ROOT
from tests.helpers.commands import run
from tests.helpers.schemas import checked
from tests.helpers.training import final, same
from train.data import boxed, decoded_set, plan_epoch, plan_views, validation_split
from train.validation import validation_iou

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
TINY = {"epochs": 2, "batch_size": 8, "short_side": 48, "crop_size": 32, "val_short_side": 32, "small_size": 32}


def run_once(
    pairs: list[Pair], folder: Path, student: str = "v1", resume: bool = False, epochs: int = 2,
    start_from: Path | None = None, **changes: Any,
) -> Path:  # fmt: skip
    from train.loop import train
    from train.recipe import load_recipe

    recipe = load_recipe(student, **TINY | {"epochs": epochs} | changes)
    train(recipe, pairs, folder, folder.parent / "cache", "cpu", resume, threads=1, start_from=start_from)
    return folder


def test_fold_is_upstreams() -> None:
    kept, held = validation_split(10_553)
    assert (len(kept), len(held)) == (10_025, 528)
    assert not set(kept) & set(held)


@pytest.mark.slow
def test_crops_on_a_device_equal_crops_on_the_host(pairs: list[Pair], tmp_path: Path) -> None:
    from train.batches import HostBatches, ResidentBatches

    data = decoded_set(pairs, 48, tmp_path)
    plan = plan_epoch(data, range(len(pairs)), 32, seed=3, epoch=1)
    assert plan.flip.any() and not plan.flip.all()
    slices, cpu = [slice(0, 8), slice(8, 16)], torch.device("cpu")
    host = list(HostBatches(data, cpu).epoch(plan, slices, 32))
    resident = list(ResidentBatches(data, cpu).epoch(plan, slices, 32))
    for (images, truth), (other_images, other_truth) in zip(host, resident, strict=True):
        assert torch.equal(images, other_images) and torch.equal(truth, other_truth)


@pytest.mark.slow
@pytest.mark.parametrize(("widest", "size"), [(1, 64), (2, 128)])
def test_views_on_a_device_are_those_on_the_host(widest: float, size: int, pairs: list[Pair], tmp_path: Path) -> None:
    from train.batches import HostBatches, ResidentBatches

    data = decoded_set(pairs, 48, tmp_path)
    plan = plan_views(data, range(len(pairs)), 0.7, 3, 1, widest)
    inside = plan.top + plan.height <= data.heights[plan.pair]
    assert plan.scaled(size) and inside.all() == (widest == 1) and inside.any()
    slices, cpu = [slice(0, 8), slice(8, 80)], torch.device("cpu")
    host = list(HostBatches(data, cpu).epoch(plan, slices, size))
    resident = list(ResidentBatches(data, cpu).epoch(plan, slices, size))
    for (images, truth), (other_images, other_truth) in zip(host, resident, strict=True):
        assert images.shape[1:] == (3, size, size)
        assert (images - other_images).abs().max() < 0.03  # enlarged, so antialias is idle; PIL rounds to 8 bits
        assert (truth != other_truth).float().mean() < 0.002


def test_a_wide_view_mirrors_what_lies_outside() -> None:
    picture = np.arange(12).reshape(3, 4)
    assert boxed(picture, -1, 2, 2, 6).tolist() == [[2, 3, 3, 2], [2, 3, 3, 2], [6, 7, 7, 6]]
    assert boxed(picture, 1, 3, 0, 2).tolist() == [[4, 5], [8, 9]]


@pytest.mark.slow
def test_views_of_the_fold_shrink_what_they_show(pairs: list[Pair], tmp_path: Path) -> None:
    from train.validation import VIEWS

    data = decoded_set(pairs, 48, tmp_path)
    whole, wide = (VIEWS[view](data, range(8), 64) for view in ("whole", "wide"))
    middle = wide[1][:, 16:48, 16:48]
    assert middle.mean() == pytest.approx(whole[1].mean(), abs=0.01)
    assert np.abs(wide[0][:, 16:48, 16:48].mean((1, 2)) - whole[0].mean((1, 2))).max() < 1.5


@pytest.mark.slow
def test_validate_tells_models_and_views_apart(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    words = ["--model", "saliency_student_v1", "--model", "mobilesal_placeholder_v0", "--root", str(corpus)]
    arguments = ["validate", "--corpus", "synth", *words, "--view", "whole", "--view", "wide"]
    done = run(*arguments, "--json", "--out", tmp_path / "out")
    rows = checked("validate", done.stdout)["rows"]
    assert [(row["model"], row["view"]) for row in rows] == [
        (model, view) for model in ("saliency_student_v1", "mobilesal_placeholder_v0") for view in ("whole", "wide")
    ]
    assert len({row["val_iou_mean@0.5 (per image)"] for row in rows}) > 2
    assert "| wide |" in (tmp_path / "out" / "validation.md").read_text()
    assert isinstance(run("validate", "--view", "narrow", *words).exception, InputError)


def test_looks_depend_on_seed_and_epoch_alone_and_keep_pictures_in_range() -> None:
    from train.augment import changed, plan_looks

    looks = plan_looks(40, 0.3, 0.5, 42, 1)
    assert np.array_equal(looks.quality, plan_looks(40, 0.3, 0.5, 42, 1).quality)
    assert not np.array_equal(looks.contrast, plan_looks(40, 0.3, 0.5, 42, 2).contrast)
    assert 8 < np.count_nonzero(looks.quality) < 32
    pictures = torch.rand(8, 32, 48, 3, generator=torch.Generator().manual_seed(0))
    after = changed(pictures.clone(), looks, slice(8, 16))
    assert after.shape == pictures.shape and after.min() >= 0 and after.max() <= 1
    assert (after - pictures).abs().amax((1, 2, 3)).min() > 0.01
    still = plan_looks(8, 0.0, 0.0, 42, 1)
    assert torch.allclose(changed(pictures.clone(), still, slice(0, 8)), pictures, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("quality", [10, 40, 70])
def test_compression_loses_what_jpeg_loses(quality: int, corpus: Path) -> None:
    import io

    from PIL import Image

    from train.augment import compressed

    with Image.open(load_pairs("synth", corpus)[0].image) as opened:
        picture = opened.convert("RGB").crop((0, 0, 72, 72))
    stored = io.BytesIO()
    picture.save(stored, "JPEG", quality=quality, subsampling=0)
    expected = np.asarray(Image.open(stored), np.float32) / 255
    given = torch.from_numpy(np.asarray(picture, np.float32) / 255)[None]
    found = compressed(given, torch.tensor([float(quality)]))[0].numpy()
    assert np.abs(found - expected).mean() < 0.35 * np.abs(expected - given[0].numpy()).mean()


def test_averaged_weights_follow_the_student() -> None:
    from train.optim import averaged

    student = torch.nn.Linear(1, 1, bias=False)
    average = averaged(student, decay=0.9)
    for value in [1.0] * 3 + [2.0] * 10:
        student.weight.data.fill_(value)
        average.update_parameters(student)
    expected = 1.0
    for count in range(3, 13):
        expected += (2 - expected) * max(0.1, 1 / (count + 1))
    assert float(average.module.weight.detach()) == pytest.approx(expected)


@pytest.mark.slow
def test_epoch_plan_depends_on_seed_and_epoch_alone(pairs: list[Pair], tmp_path: Path) -> None:
    data = decoded_set(pairs, 48, tmp_path)
    first, again, other = (plan_epoch(data, range(32), 32, 42, epoch) for epoch in (1, 1, 2))
    assert np.array_equal(first.pair, again.pair) and not np.array_equal(first.pair, other.pair)
    assert sorted(first.pair) == list(range(32))
    assert (first.top <= data.heights[first.pair] - 32).all() and (first.left <= data.widths[first.pair] - 32).all()


@pytest.mark.slow
def test_validation_iou_averages_batches_then_over_them(corpus: Path, tmp_path: Path) -> None:
    data = decoded_set(load_pairs("synth", corpus)[:40], 32, tmp_path)
    score = validation_iou(lambda images: np.ones(images.shape[:3]), data, range(40), 32)
    masks = [data.pair(i)[1] for i in range(40)]
    corners = [((mask.shape[0] - 32) // 2, (mask.shape[1] - 32) // 2) for mask in masks]
    shares = [mask[y : y + 32, x : x + 32].mean() for mask, (y, x) in zip(masks, corners, strict=True)]
    assert score.per_image == pytest.approx(np.mean(shares), abs=1e-6)
    assert score.batched == pytest.approx((np.mean(shares[:32]) + np.mean(shares[32:])) / 2, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("student", ["v1", "v3"])
def test_two_runs_and_a_resumed_one_end_in_the_same_weights(student: str, pairs: list[Pair], tmp_path: Path) -> None:
    whole = final(run_once(pairs, tmp_path / "whole", student))
    assert same(whole, final(run_once(pairs, tmp_path / "again", student)))

    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from corpora.loader import load_pairs\n"
        "from train import data\nfrom train.loop import train\nfrom train.recipe import load_recipe\n"
        "data.FEWEST_HELD = 16\n"
        "def kill(stage, done, total, values):\n"
        "    if stage.startswith('epoch 2') and done == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"train(load_recipe({student!r}, **{TINY}), load_pairs('synth', sys.argv[1])[:32], Path(sys.argv[2]), "
        "Path(sys.argv[3]), 'cpu', threads=1, progress=kill)\n"
    )
    corpus, killed = pairs[0].image.parents[2], tmp_path / "killed"
    done = subprocess.run([sys.executable, "-c", script, corpus, killed, tmp_path / "cache"], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (killed / "final.pt").exists()
    assert same(whole, final(run_once(pairs, killed, student, resume=True)))


@pytest.mark.slow
def test_a_run_folder_is_not_overwritten_or_mixed(pairs: list[Pair], tmp_path: Path) -> None:
    folder = run_once(pairs, tmp_path / "run", epochs=1)
    with pytest.raises(InputError, match="holds a run already"):
        run_once(pairs, folder, epochs=1)
    with pytest.raises(InputError, match=r"cannot resume, its recipe is {'epochs': 1}, not {'epochs': 2} \(allowed: "):
        run_once(pairs, folder, resume=True, epochs=2)
    with pytest.raises(InputError, match=r"do not fill one batch of 999 \(allowed: .* a batch_size up to \d+\)"):
        run_once(pairs, tmp_path / "other", epochs=1, batch_size=999)
    assert not (tmp_path / "other").exists()  # nothing that a second try would find in its way


@pytest.mark.parametrize(
    ("student", "change", "said"),
    [
        ("v1", {"crop_size": 300}, "crop_size is 300 (allowed for v1: multiples of 8)"),
        ("v4", {"small_size": 40}, "small_size is 40 (allowed for v4: multiples of 32)"),
        ("v1", {"frame_side": 64}, "needs smallest_view (allowed: a number above 0, at most 1)"),
        ("v3", {"turn": 10.0}, "turn is 10.0, which does nothing without a frame_side (allowed for this recipe: 0.0)"),
        ("v3", {"teacher_sees": "frame"}, "teacher_sees is 'frame', which does nothing without a frame_side (allowed"),
        (
            "v1",
            {"widest_view": 2.0},
            "widest_view is 2.0, which does nothing without a smallest_view (allowed for this",
        ),
        (
            "v4",
            {"optimizer": "adam"},
            "optimizer is 'adam', which does nothing with a frame_side (allowed for this recipe",
        ),
    ],
)
def test_values_that_do_not_fit_each_other_or_the_student_are_refused_first(
    student: str, change: dict[str, Any], said: str, pairs: list[Pair], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        run_once(pairs, tmp_path / "run", student, epochs=1, **change)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_starts_from_the_weights_of_another_and_says_so(pairs: list[Pair], tmp_path: Path) -> None:
    first = run_once(pairs, tmp_path / "first", "v3", epochs=1)
    second = run_once(pairs, tmp_path / "second", "v3", epochs=1, lr=1e-9, ema=0.0, start_from=first)
    begun = torch.load(first / "best.pt", weights_only=True)["student"]["head.weight"]
    assert (final(second)["head.weight"] - begun).abs().max() < 1e-6
    origin = json.loads((second / "run.json").read_text())["started_from"]
    assert origin["best_pt_sha256"] == sha256_of(first / "best.pt") and origin["recipe"]["epochs"] == 1
    with pytest.raises(InputError, match="cannot resume, its started_from is"):
        run_once(pairs, first, "v3", resume=True, epochs=1, start_from=second)
    with pytest.raises(InputError, match="trained v3, not v1"):
        run_once(pairs, tmp_path / "other", "v1", epochs=1, start_from=first)


@pytest.mark.slow
def test_a_run_goes_on_with_the_start_that_it_had(
    pairs: list[Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_once(pairs, tmp_path / "first", epochs=1)
    about = json.loads((first / "run.json").read_text())
    (first / "run.json").write_text(json.dumps(about | {"corpora": ["DUTS-TR"]}))
    folder = tmp_path / "second"

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("train.loop._decode_in_turn", killed)
        run_once(pairs, folder, epochs=1, start_from=first)
    origin = json.loads((folder / "run.json").read_text())["started_from"]
    assert origin["corpora"] == ["duts-tr"]
    with pytest.raises(
        InputError, match=rf"cannot resume, its started_from is {origin['best_pt_sha256']}, not None \("
    ):
        run_once(pairs, folder, epochs=1, resume=True)
    with pytest.raises(InputError, match=rf"its started_from is None, not {origin['best_pt_sha256']} \("):
        run_once(pairs, first, epochs=1, resume=True, start_from=first)
    del origin["corpora"]  # as older runs kept it
    about = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(about | {"started_from": origin}))
    run_once(pairs, folder, epochs=1, resume=True, start_from=first)


@pytest.mark.slow
def test_the_map_of_v3_hardly_depends_on_who_computes_it(tmp_path: Path) -> None:
    """With logits as steep as trained ones a sampling position's last bit would show, were positions not exact."""
    from train.export import export
    from train.students.registry import build_student

    torch.manual_seed(5)
    student = build_student("v3").eval()
    torch.nn.init.normal_(student.head.weight, std=3)
    exported = export(student, tmp_path / "steep.onnx")  # raises above 1e-5
    picture = torch.randn(1, 3, 96, 160, generator=torch.Generator().manual_seed(1))
    assert student(picture).std() > 0.2, exported


@pytest.mark.slow
@pytest.mark.parametrize("student", ["v1", "v2", "v3", "v4"])
def test_export_matches_torch_and_registers(
    student: str, pairs: list[Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.models import registry
    from train.publish import compare_runs, publish

    monkeypatch.setattr("train.publish.doubt", lambda history: None)  # two batches teach nothing
    folder = run_once(pairs, tmp_path / "run", student, epochs=1)
    target = publish(folder, f"saliency_student_{student}", tmp_path / "model")
    assert target.is_file() and not [f.problem for f in registry.verify(tmp_path / "model") if f.problem]
    table = compare_runs([folder], "harness runs")
    assert float(table.rows["pt_onnx_max_abs_diff"][0]) <= 1e-5
    assert (folder / "curve.png").stat().st_size > 1000


@pytest.mark.slow
def test_two_processes_train_the_same_weights(corpus: Path, tmp_path: Path) -> None:
    script = tmp_path / "ranks.py"
    script.write_text(
        "import os, sys, torch; from pathlib import Path\n"
        "from corpora.loader import load_pairs\n"
        "from train.loop import train\nfrom train.recipe import load_recipe\nimport train.loop as loop\n"
        "if __name__ == '__main__':\n"
        "    kept, build = {}, loop.build_student\n"
        "    def remember(name):\n        kept['student'] = build(name)\n        return kept['student']\n"
        "    loop.build_student = remember\n"
        f"    train(load_recipe('v1', **{TINY | {'epochs': 1}}), load_pairs('synth', sys.argv[1]), "
        "Path(sys.argv[2]) / 'run', Path(sys.argv[2]) / 'cache', 'cpu', threads=1)\n"
        "    parameters = {k: v.detach() for k, v in kept['student'].named_parameters()}\n"
        "    torch.save(parameters, Path(sys.argv[2]) / f'rank{os.environ[\"RANK\"]}.pt')\n"
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-addr=127.0.0.1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": "lo"}
    command = [*launch, f"--master-port={20_000 + os.getpid() % 10_000}", script, corpus, tmp_path]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]
    ranks = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert same(*ranks)


@pytest.mark.slow
def test_fold_and_protocol_on_upstream_weights(shared: Path, tmp_path: Path) -> None:
    """The -288 edition's recompressed images cost upstream's v1 .032 of its .65584 on the originals."""
    from harness.models.session import load_model

    pairs = load_pairs("duts-tr", shared / "corpora" / "DUTS-TR-288")
    _, held = validation_split(len(pairs))
    data = decoded_set([pairs[index] for index in held], 256, tmp_path)
    model = load_model(shared / "weights" / "upstream_saliency_student_v1.onnx")
    assert validation_iou(model.maps, data, range(len(held)), 256).batched == pytest.approx(0.62385, abs=1e-4)


@pytest.mark.slow
def test_a_second_corpus_adds_pairs_but_none_that_is_tested(corpus: Path, tmp_path: Path) -> None:
    from PIL import Image, ImageOps

    from harness.files import read_json
    from train.loop import train as run_training
    from train.recipe import load_recipe
    from train.union import training_set

    fold_image = load_pairs("synth", corpus)[validation_split(80)[1][0]].image
    more = tmp_path / "HKU-IS"
    for folder in ("imgs", "gt"):
        (more / folder).mkdir(parents=True)
    write_images(tmp_path / "others", ImageOptions(count=6, size=(64, 64), seed=99))
    for pair in load_pairs("synth", tmp_path / "others"):
        shutil.copy(pair.image, more / "imgs" / f"{pair.name}.png")
        shutil.copy(pair.mask, more / "gt" / f"{pair.name}.png")
    with Image.open(fold_image) as picture:
        ImageOps.mirror(picture.convert("RGB")).resize((90, 70)).save(more / "imgs" / "copy.jpg", quality=80)
    Image.new("L", (90, 70), 255).save(more / "gt" / "copy.png")
    found = training_set(["synth", "hku-is"], [corpus, more])
    assert found.rejected == {"hku-is": 1} and len(found.more) == 6 and len(found.pairs) == 80

    recipe = load_recipe("v3", **TINY | {"epochs": 1})
    folder = tmp_path / "run"
    run_training(recipe, found.pairs, folder, tmp_path / "c", "cpu", threads=1, more=found.more, origin=found.origin)
    about = read_json(folder / "run.json")
    assert about["pairs"] == 86 and about["corpora"] == ["synth", "hku-is"] and about["rejected"] == {"hku-is": 1}
