"""An evaluation on disk: tables with intervals, per-image rows, curves, and a sheet of best, median, worst images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from corpora.loader import Pair
from harness.jobs.provenance import code_of
from harness.metrics.base import THRESHOLDS
from harness.models.sources import MapSource
from harness.models.working_size import NATIVE, WorkingSize
from harness.pages.figures import save_figure
from harness.pages.page import fragment, picture, rows_of, write_study
from harness.stats import USUAL, Statistics
from harness.studies.eval.charts import arm_name, curve_charts
from harness.studies.eval.part import read_pair
from harness.studies.eval.result import ArmResult, Evaluation
from harness.tables import Table, json_records, write_table

SUMMARY = (
    "iou_mean@0.5",
    "iou_mean@best",
    "maxf_mean_curve",
    "maxf_pr_averaged",
    "wf_mean",
    "s_measure_mean",
    "e_measure_max",
    "plcc_mean",
    "mae_mean",
)
SETTING = ["split", "model", "working_size", "distortion", "images"]
SHEET_MEASURE, SHEET_RANKS = "iou@0.5", {"best": 1.0, "median": 0.5, "worst": 0.0}
SHEET_IMAGES = 3
PAGE = "report.html"
PICTURED = ("sheet_", "working_size.png", "distortion.png")
IMAGE_DIGITS = 6  # of the numbers in the file of all images, which is large


def sources_of(evaluation: Evaluation) -> dict[str, str]:
    """The digest of every source of maps."""
    return {result.model: result.digest for result in evaluation.results}


def document(evaluation: Evaluation, numbers: pd.DataFrame, paired: pd.DataFrame) -> dict[str, Any]:
    """All of it for a script, as strict JSON holds it: a number that is undefined or infinite is null."""
    return {
        "options": evaluation.options.described(),
        "models": sources_of(evaluation),
        "data": dict(evaluation.digests),
        "numbers": json_records(numbers),
        "paired": json_records(paired),
    }


def write_report(evaluation: Evaluation, numbers: pd.DataFrame, tables: Sequence[Table], out: Path) -> list[Path]:
    """Write tables, curves, and how numbers move with working size and distortion, where there are several of these.

    `numbers` come from `with_intervals`, `tables` from `report_tables`; the written paths.
    """
    written = []
    for table in tables:
        written += write_table(table, out, ".csv.gz" if table.kind == "eval.images" else ".csv")
    written += _save(curves_figure(evaluation), out / "curves")
    for column, label in (("working_size", "working size"), ("distortion", "distortion")):
        if numbers[column].nunique() > 1 + (column == "working_size" and (numbers[column] == "-").any()):
            written += _save(trend_figure(numbers, column, label), out / column)
    return written


def write_page(evaluation: Evaluation, tables: Sequence[Table], written: Sequence[Path], out: Path) -> Path:
    """Write `report.html` into `out`: tables, curves, and of what was `written` the trends and sheets.

    A page with sheets shows the set's pictures, whose licence decides who may see it.
    """
    pictures = [picture(path, path.stem.replace("_", " ")) for path in written if path.name.startswith(PICTURED)]
    charts = {"Curves": list(curve_charts(evaluation))}
    title = f"Saliency against human masks: {', '.join(evaluation.asked)}"
    return write_study(out / PAGE, title, tables, charts, pictures)


def notebook(evaluation: Evaluation, rows: pd.DataFrame, written: Sequence[Path]) -> str:
    """The summary `rows` and the curves as a notebook shows them, and the sheets that were `written`."""
    sheets = [picture(path, path.stem) for path in written if path.name.startswith("sheet_") and path.exists()]
    charts = list(curve_charts(evaluation))
    return fragment("Saliency against human masks", [rows_of("", rows)], charts, sheets)


def report_tables(
    evaluation: Evaluation,
    numbers: pd.DataFrame,
    paired: pd.DataFrame,
    command: str,
    notes: Sequence[str] = (),
    how: Statistics = USUAL,
    nulls: Mapping[str, float] | None = None,
    names: Mapping[str, str] | None = None,
    stated: Mapping[str, str] | None = None,
) -> list[Table]:
    """`summary`, `numbers`, `paired` (for two models and more) and `images` of an evaluation.

    `numbers` and `paired` come from `with_intervals`, made with the same `how` and `nulls`; `summary` shows value and
    interval of the usual numbers (or `names`, as there), `images` has one row per image and arm. `stated` joins the
    settings.
    """
    partial = {r.split: r.sums.images for r in evaluation.results if r.sums.images < evaluation.asked[r.split]}
    undefined = [
        f"{r.split} {r.model} {r.working_size} {r.distortion}: PLCC is undefined (flat map or mask) on {count} images"
        for r in evaluation.results
        if (count := r.sums.undefined("plcc"))
    ]
    notes = [
        *notes,
        *(f"PARTIAL: {count} of the {evaluation.asked[split]} images of {split}" for split, count in partial.items()),
        *undefined,
        f"brackets: {how.level * 100:g} % interval over images, {how.resamples:,} resamples, "
        f"Student's t below {how.small}; conventions: docs/measures.md",
        "n=: over so many images, where the others leave a number undefined",
    ]
    found = [
        ("summary", "Saliency against human masks", summary(numbers, names)),
        ("numbers", "All numbers", numbers),
        ("paired", "Paired differences of every two models, same images and resamples", paired),
        ("images", "All images", evaluation.rows),
    ]
    return [
        Table(
            f"eval.{name}",
            name,
            title,
            rows,
            command,
            sources_of(evaluation),
            evaluation.digests,
            code_of("harness.studies.eval.compare"),
            {**evaluation.options.described(), **(stated or {}), "statistics": asdict(how), "nulls": dict(nulls or {})},
            tuple(notes),
            IMAGE_DIGITS if name == "images" else None,
        )
        for name, title, rows in found
        if len(rows)
    ]


def summary(numbers: pd.DataFrame, names: Mapping[str, str] | None = None) -> pd.DataFrame:
    """One row per arm: its setting, then `value [low, high]` of the usual numbers, or of `names`: `{shown as: key}`.

    A number that is over fewer images than its arm ends in `n=` and how many.
    """
    rows = []
    for setting, group in numbers.groupby(SETTING, sort=False):
        values = group.set_index("measure").to_dict(orient="index")
        images = int(group["images"].iloc[0].partition("/")[0])
        wanted = names or dict(zip(SUMMARY, SUMMARY, strict=True))
        shown = {name: _shown(values[key], images) for name, key in wanted.items()}
        rows.append({**dict(zip(SETTING, setting, strict=True)), **shown})
    return pd.DataFrame(rows)


def _shown(number: Mapping[Any, Any], images: int) -> str:
    text = f"{number['value']:.3f} [{number['low']:.3f}, {number['high']:.3f}]"
    return text if number["defined"] == images else f"{text} n={number['defined']}"


def _save(figure: Figure, stem: Path) -> list[Path]:
    return [save_figure(figure, stem.with_suffix(suffix)) for suffix in (".png", ".svg")]


def _look(result: ArmResult, evaluation: Evaluation) -> dict[str, Any]:
    """A colour for each model, a line style for each of its settings."""
    models = list(dict.fromkeys(other.model for other in evaluation.results))
    own = [other for other in evaluation.results if (other.split, other.model) == (result.split, result.model)]
    styles = ("-", "--", ":", "-.")
    return {
        "label": arm_name(result),
        "color": f"C{models.index(result.model) % 10}",
        "linestyle": styles[own.index(result) % len(styles)],
        "lw": 1.2,
    }


def curves_figure(evaluation: Evaluation) -> Figure:
    """Precision over recall and F over threshold, one line per arm, one row of plots per split."""
    splits = list(evaluation.asked)
    figure = Figure(figsize=(12, 4.2 * len(splits)), layout="constrained")
    axes = figure.subplots(len(splits), 2, squeeze=False)
    for split, (left, right) in zip(splits, axes, strict=True):
        for result in (r for r in evaluation.results if r.split == split):
            means, look = result.sums.means(), _look(result, evaluation)
            left.plot(means["recall_curve"], means["precision_curve"], **look)
            right.plot(THRESHOLDS, means["f_curve"], **look)
        left.set(xlabel="recall", ylabel="precision", title=f"{split}: averaged over images", xlim=(0, 1), ylim=(0, 1))
        right.set(xlabel="threshold", ylabel="F (beta² 0.3)", title=f"{split}: mean F curve", xlim=(0, 1), ylim=(0, 1))
        left.grid(alpha=0.3)
        right.grid(alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=7, loc="outside right upper")
    return figure


def trend_figure(numbers: pd.DataFrame, column: str, label: str) -> Figure:
    """IoU, max-F and PLCC with intervals over working size or distortion, one line per model and split."""
    keys = ("iou_mean@0.5", "maxf_mean_curve", "plcc_mean")
    others = ["split", "model", *({"working_size", "distortion"} - {column})]
    ticks = list(dict.fromkeys(numbers.loc[numbers[column] != "-", column]))
    figure = Figure(figsize=(12, 4), layout="constrained")
    for key, axis in zip(keys, figure.subplots(1, len(keys)), strict=True):
        chosen = numbers[(numbers["measure"] == key) & (numbers[column] != "-")]
        for names, group in chosen.groupby(others, sort=False):
            places = [ticks.index(value) for value in group[column]]
            spread = [group["value"] - group["low"], group["high"] - group["value"]]
            name = " ".join(str(part) for part in names if part not in ("-", "none"))
            axis.errorbar(places, group["value"], spread, marker="o", ms=3, lw=1.2, capsize=2, label=name)
        axis.set_xticks(range(len(ticks)), ticks, rotation=45)
        axis.set(title=key, xlabel=label)
        axis.grid(alpha=0.3)
    figure.legend(*figure.axes[-1].get_legend_handles_labels(), fontsize=7, loc="outside right upper")
    return figure


def sheet_figure(evaluation: Evaluation, split: str, pairs: Sequence[Pair], sources: Sequence[MapSource]) -> Figure:
    """Best, median and worst images by IoU, averaged over the undistorted arms: picture, mask, and each source's map.

    Maps are made at the first working size.
    """
    clean = evaluation.rows.query("split == @split and distortion == 'none'")
    ranked = clean.groupby("image")[SHEET_MEASURE].mean().sort_values(kind="stable").index.tolist()
    chosen = _ranked_images(ranked)
    by_name: Mapping[str, Pair] = {pair.name: pair for pair in pairs}
    working: WorkingSize = evaluation.options.working_sizes[0] if evaluation.options.working_sizes else NATIVE
    mappers = [source.open(1) for source in sources]
    figure = Figure(figsize=(1.9 * (2 + len(sources)), 1.6 * len(chosen)), layout="constrained")
    axes = figure.subplots(len(chosen), 2 + len(sources), squeeze=False)
    for (rank, name), row in zip(chosen, axes, strict=True):
        rgb, truth = read_pair(by_name[name], evaluation.options.truth_threshold)
        maps = [mapper(f"{split}/{name}", rgb, working) for mapper in mappers]
        for axis, shown in zip(row, (rgb, truth.mask, *maps), strict=True):
            top = 255 if shown.dtype == np.uint8 else 1
            axis.imshow(shown, cmap="gray", vmin=0, vmax=top, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel(f"{rank}\n{name}", fontsize=6)
    for axis, title in zip(axes[0], ("picture", "mask", *(source.name for source in sources)), strict=True):
        axis.set_title(title, fontsize=7, wrap=True)
    return figure


def _ranked_images(ranked: list[str]) -> list[tuple[str, str]]:
    """`(rank, image)` of at most three of each rank; `ranked` goes from worst to best.

    >>> _ranked_images(["w", "m", "b"])
    [('best', 'b'), ('median', 'm'), ('worst', 'w')]
    """
    number = min(SHEET_IMAGES, max(1, len(ranked) // len(SHEET_RANKS)))
    chosen = []
    for rank, place in SHEET_RANKS.items():
        first = round((len(ranked) - number) * place)
        chosen += [(rank, name) for name in ranked[first : first + number]]
    return chosen


def write_sheet(
    evaluation: Evaluation, splits: Mapping[str, Sequence[Pair]], sources: Sequence[MapSource], out: Path
) -> list[Path]:
    """Write `sheet_<split>.png` into `out`; it shows the set's pictures, whose licence decides who may see it."""
    paths = []
    for split, pairs in splits.items():
        paths.append(save_figure(sheet_figure(evaluation, split, pairs, sources), out / f"sheet_{split}.png"))
    return paths
