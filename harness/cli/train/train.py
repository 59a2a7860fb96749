"""`harness train`: a student from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.events import long
from harness.cli.options import AsJson, Check, Limit, ModelFolder
from harness.cli.output import print_json, say
from harness.cli.progress import stages
from harness.cli.survey import look_over
from harness.cli.train import need_torch
from harness.errors import InputError


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("train")(long(train))


def train(
    student: Annotated[str, typer.Option("--student", help="A module of train/students, such as v3.")],
    corpora: Annotated[
        list[str] | None,
        typer.Option("--corpus", help="Training corpus, repeatable; the first gives the fold [default: duts-tr]."),
    ] = None,
    roots: Annotated[
        list[Path] | None,
        typer.Option("--root", help="Where they lie: one for all or one each [default: HARNESS_CORPORA, cache]."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder [default: runs/STUDENT-seedSEED].")] = None,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="TOML recipe [default: the student's own].")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Override the recipe's epochs.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Override the recipe's seed.")] = None,
    limit: Limit = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Override any key of the recipe: KEY=VALUE, repeatable.")
    ] = None,
    start_from: Annotated[
        Path | None, typer.Option("--start-from", help="Run folder of the same student: begin with its best weights.")
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option("--teacher", help="Run folder of a teacher: its maps join the targets.")
    ] = None,
    teacher_weight: Annotated[
        float, typer.Option("--teacher-weight", help="The teacher's share of a target, 0 to 1.")
    ] = 0.7,
    unlabelled: Annotated[
        list[Path] | None,
        typer.Option("--unlabelled", help="Folder of pictures without masks, for the teacher to map; repeatable."),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads [default: all].")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run folder's last epoch.")] = False,
    register_as: Annotated[str | None, typer.Option("--register", help="Registry id to publish as.")] = None,
    models: ModelFolder = None,
    check: Check = False,
    as_json: AsJson = False,
) -> None:
    """Train a student from scratch; the run folder gets weights, history, curve, ONNX file and sidecar.

    Example: `harness train --student v1 --corpus duts-tr --epochs 1 --limit 640`

    With a teacher: `harness train --student v4 --teacher results/train/teacher-seed42 --device cuda`
    """
    need_torch()
    from corpora.loader import cache_folder
    from harness.media.pictures import FOREGROUND
    from harness.models.registry import refuse_id
    from train.learnt import doubt
    from train.loop import train as run_training
    from train.publish import export_run, publish
    from train.recipe import load_recipe, overrides_of
    from train.union import lesson_of, training_set

    if unlabelled and not teacher:
        raise InputError("pictures without masks need a teacher (allowed: --unlabelled with --teacher)")
    if register_as:
        refuse_id(register_as)  # before the epochs, not after
    chosen = load_recipe(student, recipe, **overrides_of(changes or (), epochs=epochs, seed=seed, limit=limit))
    folder = out or Path("runs") / f"{student}-seed{chosen.seed}"
    names = corpora or ["duts-tr"]
    with stages() as report:
        data = training_set(
            names, roots or (), chosen.val_fraction, chosen.val_seed,
            lambda done, total: report("duplicates", done, total),
        )  # fmt: skip
        for test_set in data.unchecked:
            say(f"note: {test_set} is not at hand, so no duplicates of it were rejected", to_stderr=True)
        for name, count in data.rejected.items():
            say(f"{name}: {count} pairs rejected as duplicates of tested pictures", to_stderr=True)
        used = data.pairs[: chosen.limit] if chosen.limit else data.pairs
        more = {", ".join(names[1:]): data.more} if data.more else {}
        look_over({names[0]: used, **more}, FOREGROUND, check, report)
        lesson = lesson_of(
            teacher, teacher_weight, unlabelled or (), data, chosen.val_fraction, chosen.val_seed,
            lambda done, total: report("duplicates", done, total),
        )  # fmt: skip
        run = run_training(
            chosen, data.pairs, folder, cache_folder().parent / "decoded", device, resume, threads, report,
            data.more, data.origin, start_from, lesson,
        )  # fmt: skip
    if run.rank > 0:
        return  # under torchrun one process publishes
    exported = export_run(folder)
    if why := doubt(run.history):
        say(f"harness: {folder} cannot have learnt: {why}; its sidecar says so", to_stderr=True)
    result: dict[str, Any] = {
        "run": str(folder),
        "best_epoch": run.best_epoch,
        "val_iou_mean@0.5": run.best.batched,
        "onnx": str(exported.path),
        "sha256": exported.sha256,
        "pt_onnx_max_abs_diff": exported.max_abs_diff,
    }
    if register_as:
        result["registered"] = str(publish(folder, register_as, models))
    if as_json:
        print_json(result)
        return
    for key, value in result.items():
        typer.echo(f"{key}: {value:.5f}" if isinstance(value, float) and value > 1e-3 else f"{key}: {value}")
