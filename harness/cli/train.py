"""`harness train`, `export`, `validate`, `runs`: students from recipe to registry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from corpora.loader import cache_folder, listing_digest, load_pairs
from harness.cli.progress import stages
from harness.cli.rows import print_rows
from harness.errors import InputError
from harness.registry import PRODUCTION, find_model
from harness.results import Table, this_command, write_table
from harness.saliency.model import SaliencyModel

CorpusName = Annotated[str, typer.Option("--corpus", help="Training corpus.")]
Root = Annotated[Path | None, typer.Option("--root", help="Where the corpus lies [default: HARNESS_CORPORA, cache].")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("train")(train)
    app.command("export")(export)
    app.command("validate")(validate)
    app.command("runs")(runs)


def train(
    student: Annotated[str, typer.Option("--student", help="Which student: v1, v2, v3, v4, or teacher.")],
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
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Train on the first M pairs only.")] = None,
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
    models: Annotated[Path | None, typer.Option("--models", help="Model folder to publish into.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Train a student from scratch; the run folder gets weights, history, curve, ONNX file and sidecar.

    Example: `harness train --student v1 --corpus duts-tr --epochs 1 --limit 640`

    With a teacher: `harness train --student v4 --teacher results/train/teacher-seed42 --device cuda`
    """
    _need_torch()
    from train.loop import train as run_training
    from train.publish import export_run, publish
    from train.recipe import load_recipe, overrides_of
    from train.union import lesson_of, training_set

    if unlabelled and not teacher:
        raise InputError("pictures without masks need a teacher (allowed: --unlabelled with --teacher)")
    named = {"epochs": epochs, "seed": seed, "limit": limit}
    chosen = load_recipe(student, recipe, **overrides_of(changes or ()) | named)
    folder = out or Path("runs") / f"{student}-seed{chosen.seed}"
    with stages() as report:
        data = training_set(
            corpora or ["duts-tr"], roots or (), chosen.val_fraction, chosen.val_seed,
            lambda done, total: report("duplicates", done, total),
        )  # fmt: skip
        for test_set in data.unchecked:
            typer.echo(f"note: {test_set} is not at hand, so no duplicates of it were rejected", err=True)
        for name, count in data.rejected.items():
            typer.echo(f"{name}: {count} pairs rejected as duplicates of tested pictures", err=True)
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
    _print(result, as_json)


def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    model_id: Annotated[str, typer.Option("--id", help="Registry id, such as saliency_student_v1.")],
    models: Annotated[Path | None, typer.Option("--models", help="Model folder [default: the project's].")] = None,
) -> None:
    """Publish a run's best epoch: ONNX file, sidecar and registry entry.

    Example: `harness export runs/v1-seed42 --id saliency_student_v1`
    """
    _need_torch()
    from train.publish import publish

    typer.echo(f"wrote {publish(run, model_id, models)}")


def validate(
    models: Annotated[
        list[str] | None,
        typer.Option("--model", help="Registry id, production (default) or .onnx path; repeat for more."),
    ] = None,
    views: Annotated[
        list[str] | None,
        typer.Option("--view", help="crop (default, upstream's), whole, or wide: objects at half size; repeatable."),
    ] = None,
    corpus: CorpusName = "duts-tr",
    root: Root = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the table.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Validation IoU of any ONNX students on the training corpus's held-out fold, by upstream's protocol.

    Example: `harness validate --model saliency_student_v2 --root /data/DUTS-TR`
    """
    from train.validation import validation_rows

    files = [find_model(model) for model in models or [PRODUCTION]]
    loaded = [SaliencyModel.load(file.path, file.name, file.sha256) for file in files]
    pairs = load_pairs(corpus, root)
    with stages() as report:
        rows = validation_rows(loaded, pairs, views or ["crop"], cache_folder().parent / "decoded", report)
    if as_json:
        typer.echo(json.dumps(rows.to_dict("records"), indent=2))
    else:
        print_rows(rows, ".5f")
    if out:
        inputs = {model.name: model.sha256 for model in loaded} | {corpus: listing_digest(pairs)}
        for path in write_table(Table("validation", "Validation fold", rows, this_command(), inputs), out):
            typer.echo(f"wrote {path}", err=True)


def runs(
    folders: Annotated[list[Path], typer.Argument(help="Run folders.")],
    out: Annotated[Path, typer.Option("--out", help="Where the table and the curves go.")] = Path("results/train"),
) -> None:
    """One table over training runs, with their curves.

    Example: `harness runs runs/v1-seed42 runs/v2-seed42 --out results/train`
    """
    _need_torch()
    from harness.files import whole_file
    from train.publish import compare_runs

    for path in write_table(compare_runs(folders, this_command()), out):
        typer.echo(f"wrote {path}")
    for folder in folders:
        for name, suffix in (("curve.png", ".png"), ("history.jsonl", ".jsonl")):
            with whole_file(out / f"{folder.name}{suffix}") as part:
                part.write_bytes((folder / name).read_bytes())


def _need_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise InputError("training needs torch: install the extra with `pip install 'harness[train]'`") from error


def _print(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result, indent=2))
        return
    for key, value in result.items():
        typer.echo(f"{key}: {value:.5f}" if isinstance(value, float) and value > 1e-3 else f"{key}: {value}")
