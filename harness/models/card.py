"""Model cards: what the model is, in words; what it does, in numbers that a results file holds."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import onnx
import pandas as pd
from huggingface_hub import EvalResult, ModelCardData

from corpora.manifest import Manifest, load_manifest, manifest_names
from harness.cells import code_span, markdown, plain
from harness.errors import HarnessError, InputError
from harness.files import read_text, sha256_of, write_text
from harness.models.bands import locality
from harness.models.contract import check_graph
from harness.models.contrast import WANTED, noise_contrast
from harness.models.folders import model_folder, own_model_folder
from harness.models.registry import entries
from harness.models.session import load_model
from harness.models.sidecar import read_training
from harness.tables import Table, published, read_table

TEMPLATES = Path(__file__).parent
HEADLINE = ("iou_mean@0.5", "maxf_mean_curve", "s_measure_mean", "plcc_mean", "mae_mean")
SETTINGS = ("map range", "colour", "truth", "map to truth size")  # of a whole table, which change its numbers
SIZE_MEASURE = "iou_mean@0.5"  # decides which working size is recommended
FEWEST_SIZES = 3  # that make a study of them
LONGEST = 200  # rows of a table that a card prints
PICTURES = (".png", ".jpg")
NUMBERS = "eval.numbers"  # the kind that metrics come from
UNPRINTED = {NUMBERS, "eval.paired", "eval.images", "score.encodes", "score.references"} | {
    "roi.at_cost_by_clip",
    "roi.at_cost_points",
    "roi.bdrate_by_clip",
    "roi.points",
}  # kinds for programs


@dataclass(frozen=True)
class ResultsFile:
    """A published table: its place below the results folder, its digest and its content."""

    place: str
    sha256: str
    table: Table

    def names_of(self, sha256: str) -> set[str]:
        """What the table calls a model file."""
        return {name for name, digest in self.table.models.items() if digest == sha256}


@dataclass(frozen=True)
class WorkingSizes:
    """What a scale study says: the best size with its row, and all sizes, those within the best's interval apart."""

    best: dict[Any, Any]
    tried: list[str]
    equal: list[str]
    place: str


def write_card(model_id: str, folder: Path | None = None, results: Path | None = None) -> Path:
    """Write `cards/<id>.md` in the model folder, `own_model_folder()` by default, and return it.

    Raises:
        InputError: For an id that is not registered, and where no results lie, as beside the models of an installed
            package: the card would lose its numbers.
    """
    text = card_text(model_id, folder or model_folder(), _results_beside(folder or model_folder(), results))
    path = (folder or own_model_folder()) / "cards" / f"{model_id}.md"
    write_text(path, text)
    return path


def check_card(model_id: str, folder: Path | None = None, results: Path | None = None) -> Path:
    """The card's path if it says what model and results say today; `HarnessError` when it is missing or older."""
    folder = folder or model_folder()
    path = folder / "cards" / f"{model_id}.md"
    expected = card_text(model_id, folder, _results_beside(folder, results))
    if not path.exists():
        raise HarnessError(f"{model_id} has no card: {path} does not exist (run: harness card {model_id})")
    if read_text(path) != expected:
        raise HarnessError(f"{path} is older than its model or its results (run: harness card {model_id})")
    return path


def _results_beside(folder: Path, results: Path | None) -> Path:
    found = results or folder.parent / "results"
    if not found.is_dir():
        raise InputError(f"no results at {found}, and without them a card has no numbers (allowed: --results DIR)")
    return found


def check_cards(folder: Path | None = None, results: Path | None = None) -> list[Path]:
    """Every registered model's card, all up to date; one `HarnessError` with what is wrong with each that is not."""
    found, wrong = [], []
    for entry in entries(folder):
        try:
            found.append(check_card(entry["id"], folder, results))
        except HarnessError as error:
            wrong.append(str(error))
    if wrong:
        raise HarnessError("; ".join(wrong))
    return found


def card_text(model_id: str, folder: Path, results: Path) -> str:
    """The card: Hugging Face metadata with a model index, the five points, the data's terms, tables and pictures."""
    entry = next((entry for entry in entries(folder) if entry["id"] == model_id), None)
    if entry is None:
        known = ", ".join(entry["id"] for entry in entries(folder))
        raise InputError(f"unknown model {model_id!r} (allowed: {known})")
    path = folder / "tiny" / entry["onnx"]
    training = read_training(path.with_suffix(".json"))
    files = results_files(results, entry["sha256"])
    data = ModelCardData(
        model_name=model_id,
        license="other",
        license_name=entry.get("license", "unknown").lower(),
        library_name="onnx",
        pipeline_tag="image-segmentation",
        tags=["saliency", "mobilesal", "libvmaf", "video-quality"],
        eval_results=_eval_results(files, entry["sha256"]) or None,
    )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plain": plain, "code_span": code_span}
    found = {
        "entry": {"smoke": False, "notes": "", "description": "", "license": "unknown", **entry},
        "facts": check_graph(path),
        "contrast": noise_contrast(load_model(path)),
        "contrast_wanted": WANTED,
        "sight": locality(onnx.load(path).graph),
        "training": training,
        "corpora": _trained_on(training),
        "printed": [(file, markdown(file.table.rows)) for file in files if file.table.kind not in UNPRINTED],
        "files": files,
        "sizes": _working_sizes(files, entry["sha256"]),
        "size_measure": SIZE_MEASURE,
        "pictures": [_relative(picture, folder / "cards") for picture in _pictures(files, results)],
        "results_name": results.name,
    }
    try:
        body = environment.get_template("card.md.j2").render(found)
    except jinja2.UndefinedError as error:
        raise InputError(f"{path.with_suffix('.json')}: its training is told in part only: {error}") from error
    return f"---\n{data.to_yaml()}\n---\n\n{body.strip()}\n"


def _trained_on(training: Mapping[str, Any]) -> list[Manifest]:
    """The corpora that a sidecar names, by title; `HarnessError` for one whose terms are unknown."""
    known = {manifest.title: manifest for manifest in map(load_manifest, manifest_names())}
    titles = training.get("dataset", "").split(", ") if training else []
    if unknown := [title for title in titles if title not in known]:
        raise HarnessError(
            f"trained on {unknown[0]!r}, of which no manifest gives the terms (known: {', '.join(known)})"
        )
    return [known[title] for title in titles]


def results_files(results: Path, sha256: str) -> list[ResultsFile]:
    """Every table below the results folder that proves to speak of this very model file, by path.

    Tables that cannot say which files they measured, or were changed since, are left alone.
    """
    found = []
    for path in published(results):
        try:
            table = read_table(path, with_rows=False)
            if sha256 not in table.models.values() or table.kind in UNPRINTED - {NUMBERS}:
                continue
            table = read_table(path)
        except InputError:
            continue
        if len(table.rows) <= LONGEST or table.kind == NUMBERS:
            found.append(ResultsFile(path.relative_to(results).as_posix(), sha256_of(path), table))
    return found


def _own(file: ResultsFile, sha256: str) -> pd.DataFrame:
    """The rows of an evaluation's numbers about this model file; none of any other table."""
    rows = file.table.rows
    return rows[rows["model"].isin(file.names_of(sha256))] if file.table.kind == NUMBERS else rows[:0]


def _eval_results(files: Iterable[ResultsFile], sha256: str) -> list[EvalResult]:
    """The headline numbers, each once: of whole test sets only, and from the newest table that has them."""
    found: dict[tuple[str, str, str], EvalResult] = {}
    for file in sorted(files, key=lambda file: (file.table.written, file.place)):
        for row in _own(file, sha256).to_dict(orient="records"):
            if row["measure"] in HEADLINE and _whole_test_set(row["split"], row["images"]):
                result = _eval_result(row, file.table.settings)
                found[str(result.dataset_type), str(result.dataset_config), result.metric_type] = result
    return [found[key] for key in sorted(found, key=lambda key: (key[0], _by_size(key[1]), HEADLINE.index(key[2])))]


def _whole_test_set(split: str, images: str) -> bool:
    """Whether a row is a result on a published test set: over as many images as its authors published."""
    if split.lower() not in manifest_names():
        return False
    manifest = load_manifest(split)
    return manifest.role == "test" and not manifest.generated and images == f"{manifest.count}/{manifest.count}"


def _eval_result(row: Mapping[Any, Any], settings: Mapping[str, Any]) -> EvalResult:
    setting = [f"working size {row['working_size']}"]
    setting += [f"after {row['distortion']}"] if row["distortion"] != "none" else []
    setting += [f"{key} {settings[key]}" for key in SETTINGS if key in settings]
    return EvalResult(
        task_type="image-segmentation",
        task_name="Salient object detection",
        dataset_type=row["split"],
        dataset_name=load_manifest(row["split"]).title,
        dataset_config=", ".join(setting),
        metric_type=row["measure"],
        metric_name=row["measure"],
        metric_value=row["value"],
    )


def _by_size(config: str) -> list[tuple[int, str]]:
    """Orders settings as people count: 64 before 256."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", config)]


def _working_sizes(files: list[ResultsFile], sha256: str) -> WorkingSizes | None:
    """The advice of the study with the most images; None when no table holds this model at enough sizes."""
    studies: list[tuple[int, WorkingSizes]] = []
    for file in files:
        own = _own(file, sha256)
        if own.empty:
            continue
        clean = own[(own["distortion"] == "none") & (own["measure"] == SIZE_MEASURE)]
        for _, rows in clean.groupby("split", sort=False):
            if len(rows) < FEWEST_SIZES:
                continue
            records = rows.to_dict(orient="records")
            best = max(records, key=lambda row: row["value"])
            near = [row["working_size"] for row in records if row is not best and row["value"] >= best["low"]]
            advice = WorkingSizes(best, list(rows["working_size"]), near, file.place)
            studies.append((int(best["images"].partition("/")[0]), advice))
    return max(studies, key=lambda study: study[0])[1] if studies else None


def _pictures(files: list[ResultsFile], results: Path) -> list[Path]:
    """Plots beside the tables; picture sheets show the sets' own pictures and are not handed on."""
    folders = sorted({(results / file.place).parent for file in files})
    return [path for folder in folders for path in sorted(folder.iterdir()) if _is_plot(path)]


def _is_plot(path: Path) -> bool:
    return path.suffix in PICTURES and "sheet_" not in path.name


def _relative(path: Path, start: Path) -> str:
    return Path(os.path.relpath(path, start)).as_posix()
