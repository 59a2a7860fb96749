"""From run folders to what ships: ONNX file, sidecar, registry entry, and the table over runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from corpora.loader import load_manifest
from harness.errors import InputError
from harness.files import parse_json, read_json, read_text, scratch_folder, write_json
from harness.jobs.provenance import code_of
from harness.models import registry
from harness.tables import Table
from train.average import Part, average_with
from train.export import Exported, export
from train.fold import RUN_EXPORT
from train.history import EpochRow, draw_curve, load_best, read_about
from train.learnt import doubt
from train.recipe import changes_of, recipe_from
from train.students.blocks import Student
from train.students.registry import build_student, trainable_parameters
from train.validation import BATCHED, PER_IMAGE

ONNX_NAME = "student.onnx"
OF_THE_RUN = ("best_val_iou", "best_val_iou_per_image", "best_val_iou_whole")
"""What was measured of a run's own weights, looking as they were trained to: of an average it says nothing."""


@dataclass(frozen=True)
class RunFacts:
    """What a run folder says of itself."""

    folder: Path
    about: dict[str, Any]
    history: list[EpochRow]

    @property
    def best(self) -> EpochRow:
        """The first epoch with the highest validation IoU, the one that is exported."""
        return max(self.history, key=lambda row: row.selected_by)

    @property
    def unfinished(self) -> str | None:
        """What is missing to the recipe, as a sentence for notes; None for a full run on the full set."""
        recipe, done = self.about["recipe"], len(self.history)
        if done < recipe["epochs"]:
            return f"interim: epoch {self.best.epoch} of a run that stands at {done} of {recipe['epochs']}"
        return f"limited: trained on the first {recipe['limit']} pairs" if recipe["limit"] else None


def read_run(folder: Path) -> RunFacts:
    """Read a run folder; `InputError` when it is none or has no finished epoch."""
    about = read_about(folder)
    lines = read_text(folder / "history.jsonl").splitlines() if (folder / "history.jsonl").exists() else []
    if not lines:
        raise InputError(f"{folder}: no finished epoch yet (allowed: a run with one)")
    try:
        rows = [
            EpochRow(**parse_json(line, f"{folder / 'history.jsonl'}, line {n}")) for n, line in enumerate(lines, 1)
        ]
        sound = all(isinstance(value, int | float | None) for row in rows for value in vars(row).values())
        if not sound:
            raise TypeError("a value is of another type")
    except TypeError as error:
        raise InputError(f"{folder / 'history.jsonl'} is not as training writes it: {error}") from error
    return RunFacts(folder, about, rows)


def export_run(
    folder: Path, parts: Sequence[Part] = (), student: str | None = None, into: Path | None = None
) -> Exported:
    """Write the best epoch, averaged with `parts` of others if any, as `student.onnx` and `export.json`.

    `student` looks at frames with the run's weights in place of the one that was trained; `InputError` if its own are
    of other shapes. Of an average and of another look `export.json` says no validation IoU, since none was measured.
    `into` is the folder for both [default: the run's]; the curve is drawn in the run's.
    """
    run = read_run(folder)
    recipe = run.about["recipe"]
    chosen = _of_same_weights(student or recipe["student"], recipe["student"])
    load_best(chosen, folder)
    if parts:
        average_with(chosen, folder, parts)
    into = into or folder
    exported = export(chosen, into / ONNX_NAME)
    training = _training(run, exported, trainable_parameters(chosen))
    training |= {"averaged_with": [part.about for part in parts]} if parts else {}
    training |= {"trained_as": recipe["student"]} if student not in (None, recipe["student"]) else {}
    if {"averaged_with", "trained_as"} & training.keys():
        for key in OF_THE_RUN:
            del training[key]
    write_json(into / RUN_EXPORT, training)
    draw_curve(run.history, folder / "curve.png", f"{recipe['student']}, seed {recipe['seed']}")
    return exported


def publish(
    folder: Path, model_id: str, models: Path | None = None, parts: Sequence[Part] = (), student: str | None = None
) -> Path:
    """Export a run, as `export_run` does, and register it as `model_id`: ONNX file, sidecar and entry.

    Raises `InputError` for an id that is none, before anything is written, for a run that cannot have learnt, for
    `parts` of runs that are not akin to it, and for a `student` whose weights are others.
    """
    registry.refuse_id(model_id)
    run = read_run(folder)
    if why := doubt(run.history):
        raise InputError(f"{folder} cannot have learnt: {why} (see: harness corpora verify)")
    exported = export_run(folder, parts, student)
    trained = run.about["recipe"]["student"]
    notes = run.unfinished or f"best of {len(run.history)} epochs by validation IoU: epoch {run.best.epoch}"
    if parts:
        notes += ", averaged with " + " and ".join(f"{part.share:g} of {part.run.name}" for part in parts)
    training = read_json(folder / RUN_EXPORT)
    description = f"Saliency student {student or trained}, trained from scratch on {training['dataset']}."
    entry = registry.entry_for(model_id, exported.path, description, notes)
    sidecar = registry.sidecar_for(entry, training)
    return registry.register(entry, sidecar, exported.path, models)


def _of_same_weights(name: str, trained: str) -> Student:
    """The student `name`, if the weights of `trained` fit it."""
    chosen, other = build_student(name), build_student(trained)
    shapes, others = ({key: value.shape for key, value in net.state_dict().items()} for net in (chosen, other))
    if shapes != others:
        raise InputError(f"the weights of {trained} do not fit {name} (allowed: a student with the very same ones)")
    return chosen


def compare_runs(folders: list[Path], command: str) -> Table:
    """One row per run: student, seed, validation IoU by both averages, epoch, time, device, parity, size, hash.

    A run that was not exported yet is, into its folder; what was exported before stays, for it may be an average.
    """
    rows = []
    with scratch_folder() as scratch:
        places = [scratch / str(n) if (folder / ONNX_NAME).exists() else None for n, folder in enumerate(folders)]
        found = [(read_run(run), export_run(run, into=place)) for run, place in zip(folders, places, strict=True)]
    for run, exported in found:
        recipe, machine = run.about["recipe"], run.about["machine"]
        rows.append(
            {
                "student": recipe["student"],
                "seed": recipe["seed"],
                "recipe": changes_of(recipe_from(recipe, run.folder)) or "as shipped",
                "starts from": run.about.get("started_from", {}).get("best_pt_sha256", "")[:12] or "scratch",
                "parameters": trainable_parameters(build_student(recipe["student"])),
                BATCHED: run.best.val_iou,
                PER_IMAGE: run.best.val_iou_per_image,
                "val_iou_mean@0.5 (whole pictures)": run.best.val_iou_whole,
                "best epoch": run.best.epoch,
                "epochs": f"{len(run.history)}/{recipe['epochs']}",
                "pairs": run.about["pairs"],
                "hours": sum(row.seconds for row in run.history) / 3600,
                "device": f"{machine['processor']} ({machine['device']}, {machine['threads']} threads)",
                "pt_onnx_max_abs_diff": f"{exported.max_abs_diff:.2e}",
                "bytes": exported.facts.bytes,
                "sha256": exported.sha256[:12],
            }
        )
    notes = tuple(f"{run.folder.name}: {run.unfinished}" for run, _ in found if run.unfinished)
    models = {run.folder.name: exported.sha256 for run, exported in found}
    data = {f"{run.folder.name} listing": run.about["listing_sha256"] for run, _ in found}
    code = code_of(__name__)
    return Table("train.runs", "students", "Training runs", pd.DataFrame(rows), command, models, data, code, {}, notes)


def _training(run: RunFacts, exported: Exported, parameters: int) -> dict[str, Any]:
    recipe, best = run.about["recipe"], run.best
    manifests = [load_manifest(name) for name in run.about.get("corpora", ["duts-tr"])]
    return {
        "best_val_iou": best.val_iou,
        "best_val_iou_per_image": best.val_iou_per_image,
        "best_val_iou_whole": best.val_iou_whole,
        "best_epoch": best.epoch,
        "param_count": parameters,
        "epochs": recipe["epochs"],
        "epochs_done": len(run.history),
        "batch_size": recipe["batch_size"],
        "lr": recipe["lr"],
        "crop_size": recipe["crop_size"],
        "seed": recipe["seed"],
        "loss": recipe["loss"],
        "optimizer": recipe["optimizer"],
        "schedule": recipe["schedule"],
        "dataset": ", ".join(manifest.title for manifest in manifests),
        "dataset_url": manifests[0].homepage,
        "dataset_pairs": run.about["pairs"],
        "dataset_listing_sha256": run.about["listing_sha256"],
        "fold_sha256": run.about.get("fold_sha256"),
        "started_from": run.about.get("started_from"),
        "teacher": run.about.get("teacher"),
        "doubt": doubt(run.history),
        "pt_onnx_max_abs_diff": exported.max_abs_diff,
        "versions": run.about["versions"],
        "machine": run.about["machine"],
    }
