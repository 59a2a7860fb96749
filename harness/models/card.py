"""Model cards: what the model is, in words; what it does, in numbers that a results file holds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import onnx
import pandas as pd
from huggingface_hub import EvalResult, ModelCardData

from corpora.manifest import Manifest, load_manifest, manifest_names
from harness.errors import HarnessError, InputError
from harness.files import read_json, sha256_of, write_text
from harness.models.bands import locality
from harness.models.contract import check_graph
from harness.models.registry import entries, model_folder
from harness.tables import markdown

TEMPLATES = Path(__file__).parent
HEADLINE = ("iou_mean@0.5", "maxf_mean_curve", "s_measure_mean", "plcc_mean", "mae_mean")
SIZE_MEASURE = "iou_mean@0.5"  # decides which working size is recommended
FEWEST_SIZES = 3  # that make a study of them
LONGEST = 200  # rows of a table that a card prints
SHORTEST = 12  # digits of a digest that name a file
PICTURES = (".png", ".jpg")
TIDY = {"split", "model", "working_size", "distortion", "images", "measure", "value"}


@dataclass(frozen=True)
class ResultsFile:
    """A table that a command wrote: its place below the results folder, its digest and its content."""

    place: str
    sha256: str
    content: dict[str, Any]

    def rows(self) -> pd.DataFrame:
        return pd.DataFrame(self.content["rows"])

    @property
    def tidy(self) -> bool:
        """Whether it has a row per measure: the twin of a table that people read."""
        return set(self.rows()) >= TIDY


@dataclass(frozen=True)
class WorkingSizes:
    """What a scale study says: the best size with its row, and all sizes, those within the best's interval apart."""

    best: dict[Any, Any]
    tried: list[str]
    equal: list[str]
    place: str


def write_card(model_id: str, folder: Path | None = None, results: Path | None = None) -> Path:
    """Write `cards/<id>.md` in the model folder and return it; `InputError` for an id that is not registered."""
    folder = folder or model_folder()
    path = folder / "cards" / f"{model_id}.md"
    write_text(path, card_text(model_id, folder, results or folder.parent / "results"))
    return path


def check_card(model_id: str, folder: Path | None = None, results: Path | None = None) -> Path:
    """The card's path if it says what model and results say today; `HarnessError` when it is missing or older."""
    folder = folder or model_folder()
    path = folder / "cards" / f"{model_id}.md"
    expected = card_text(model_id, folder, results or folder.parent / "results")
    if not path.exists():
        raise HarnessError(f"{model_id} has no card: {path} does not exist (run: harness card {model_id})")
    if path.read_text(encoding="utf-8") != expected:
        raise HarnessError(f"{path} is older than its model or its results (run: harness card {model_id})")
    return path


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
    training = read_json(path.with_suffix(".json")).get("training") or {}
    files = [file for file in results_files(results) if _mentions(file, model_id, entry["sha256"])]
    data = ModelCardData(
        model_name=model_id,
        license="other",
        license_name=entry.get("license", "unknown").lower(),
        library_name="onnx",
        pipeline_tag="image-segmentation",
        tags=["saliency", "mobilesal", "libvmaf", "video-quality"],
        eval_results=[result for file in files for result in _eval_results(file, model_id)] or None,
    )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    body = environment.get_template("card.md.j2").render(
        entry={"smoke": False, "notes": "", "description": "", "license": "unknown", **entry},
        facts=check_graph(path),
        sight=locality(onnx.load(path).graph),
        training=training,
        corpora=_trained_on(training),
        tables=[(file, _table(file)) for file in files],
        sizes=_working_sizes(files, model_id),
        size_measure=SIZE_MEASURE,
        pictures=[_relative(picture, folder / "cards") for picture in _pictures(files, results)],
        results_name=results.name,
    )
    return f"---\n{data.to_yaml()}\n---\n\n{body.strip()}\n"


def _trained_on(training: Mapping[str, Any]) -> list[Manifest]:
    """The corpora that a sidecar names, by title; `HarnessError` for one whose terms are unknown."""
    known = {manifest.title: manifest for manifest in map(load_manifest, manifest_names())}
    titles = training["dataset"].split(", ") if training else []
    if unknown := [title for title in titles if title not in known]:
        raise HarnessError(
            f"trained on {unknown[0]!r}, of which no manifest gives the terms (known: {', '.join(known)})"
        )
    return [known[title] for title in titles]


def results_files(results: Path) -> list[ResultsFile]:
    """Every table below the results folder, by path; other JSON there is left alone."""
    found = []
    for path in sorted(results.rglob("*.json")):
        content = read_json(path)
        if isinstance(content, dict) and {"title", "command", "inputs", "rows"} <= content.keys():
            found.append(ResultsFile(path.relative_to(results).as_posix(), sha256_of(path), content))
    return found


def _mentions(file: ResultsFile, model_id: str, sha256: str) -> bool:
    """Whether a table proves that it has a row about this very file: by a digest among its inputs or in the row.

    A row's own digest may be cut to 12 digits or more. Where a table has none, its weights may be older ones.
    """
    rows = file.rows()
    if len(rows) > LONGEST and not file.tidy:
        return False
    if "sha256" in rows:
        return any(len(own) >= SHORTEST and sha256.startswith(own) for own in map(str, rows["sha256"]))
    column = next((name for name in ("model", "arm", "student") if name in rows), None)
    if column is None or model_id not in set(rows[column].astype(str)):
        return False
    inputs = file.content["inputs"]
    return bool(inputs.get(f"model {model_id}", inputs.get(model_id)) == sha256)


def _own(file: ResultsFile, model_id: str) -> pd.DataFrame:
    """The rows of a tidy table about this model on untouched pictures; none of any other table."""
    rows = file.rows()
    return rows[(rows["model"] == model_id) & (rows["distortion"] == "none")] if file.tidy else pd.DataFrame()


def _eval_results(file: ResultsFile, model_id: str) -> Iterator[EvalResult]:
    """The headline numbers of a tidy evaluation table; those of a part of a set are no result on that set."""
    for row in _own(file, model_id).to_dict(orient="records"):
        done, _, asked = row["images"].partition("/")
        if row["measure"] not in HEADLINE or done != asked:
            continue
        yield EvalResult(
            task_type="image-segmentation",
            task_name="Salient object detection",
            dataset_type=row["split"],
            dataset_name=load_manifest(row["split"]).title,
            dataset_config=f"working size {row['working_size']}",
            metric_type=row["measure"],
            metric_name=row["measure"],
            metric_value=row["value"],
        )


def _working_sizes(files: list[ResultsFile], model_id: str) -> WorkingSizes | None:
    """The advice of the study with the most images; None when no table holds this model at enough sizes."""
    studies: list[tuple[int, WorkingSizes]] = []
    for file in files:
        own = _own(file, model_id)
        if own.empty or "low" not in own:
            continue
        for _, rows in own[own["measure"] == SIZE_MEASURE].groupby("split", sort=False):
            if len(rows) < FEWEST_SIZES:
                continue
            records = rows.to_dict(orient="records")
            best = max(records, key=lambda row: row["value"])
            near = [row["working_size"] for row in records if row is not best and row["value"] >= best["low"]]
            advice = WorkingSizes(best, list(rows["working_size"]), near, file.place)
            studies.append((int(best["images"].partition("/")[0]), advice))
    return max(studies, key=lambda study: study[0])[1] if studies else None


def _table(file: ResultsFile) -> str:
    rows = file.rows()
    return "" if file.tidy else markdown(rows.astype(object).where(rows.notna(), None))


def _pictures(files: list[ResultsFile], results: Path) -> list[Path]:
    """Plots beside the tables; picture sheets show the sets' own pictures and are not handed on."""
    folders = sorted({(results / file.place).parent for file in files})
    return [path for folder in folders for path in sorted(folder.iterdir()) if _is_plot(path)]


def _is_plot(path: Path) -> bool:
    return path.suffix in PICTURES and "sheet_" not in path.name


def _relative(path: Path, start: Path) -> str:
    return Path(os.path.relpath(path, start)).as_posix()
