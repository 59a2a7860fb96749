"""`harness eval`: maps against human masks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

import harness
from harness.cli.options import AsJson, Corpora, Executor, Limit, MapModels, Root, Workers, WorkingSizes
from harness.cli.output import print_json
from harness.cli.progress import progress

if TYPE_CHECKING:
    import pandas as pd


ACROSS = 2  # of 20 characters a number, in 80 columns
Colour = Literal["rgb", "mobilesal"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("eval")(run)


def run(
    corpora: Corpora,
    models: MapModels = None,
    maps: Annotated[
        list[str] | None,
        typer.Option("--maps", metavar="[NAME=]DIR", help="Maps of any method at DIR/[CORPUS/]IMAGE; repeatable."),
    ] = None,
    root: Root = None,
    working_sizes: WorkingSizes = None,
    distort: Annotated[
        list[str] | None, typer.Option("--distort", help="Also after compression: crf=N or jpeg=Q; repeatable.")
    ] = None,
    colour: Annotated[
        Colour, typer.Option("--colour", help="What models see: the picture, or the extractor's idea of it.")
    ] = "rgb",
    minmax: Annotated[bool, typer.Option("--minmax", help="Stretch each map to 0..1 first.")] = False,
    truth_threshold: Annotated[
        int, typer.Option("--truth-threshold", min=0, max=254, help="Mask pixels above it are foreground.")
    ] = 128,
    limit: Limit = None,
    workers: Workers = None,
    executor: Executor = "local",
    save_maps: Annotated[Path | None, typer.Option("--save-maps", help="Write every map there as PNG.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write tables, per-image rows, curves there; a killed run resumes.")
    ] = None,
    sheet: Annotated[bool, typer.Option("--sheet", help="Also a sheet of best, median, worst images.")] = False,
    note: Annotated[list[str] | None, typer.Option("--note", help="Printed under the tables; repeatable.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure saliency maps against human masks.

    The first model is what the others are compared with. Without --out only the usual numbers are printed.
    --json prints options, digests, all numbers with 95 % intervals, and paired differences.

    Example: `harness eval --corpus ecssd --model production --model centre-prior --working-size 256`
    """
    from harness.models.registry import PRODUCTION

    sizes = tuple(harness.WorkingSize.parse(text) for text in working_sizes or ["native"])
    distortions = tuple(harness.Distortion.parse(text) for text in distort or ())
    options = harness.EvalOptions(sizes, distortions, colour, minmax, truth_threshold)
    with progress("measuring") as report:
        found = harness.evaluate(
            models or ([] if maps else [PRODUCTION]), corpora, options,
            maps=maps or (), root=root, limit=limit, workers=workers, executor=executor, save_maps=save_maps, out=out,
            sheet=sheet, notes=note or (), progress=report,
        )  # fmt: skip
    if out:
        Console(stderr=True).print(f"{len(found.written)} files in {out}", highlight=False)
    if as_json:
        print_json(found.as_json())
    else:
        _show(found.summary, options)


def _show(rows: pd.DataFrame, options: harness.EvalOptions) -> None:
    """Measures down, arms across, a few at a time: all stays readable in a narrow terminal."""
    from harness.studies.eval.report import SETTING, SUMMARY

    arms = rows.to_dict(orient="records")
    for start in range(0, len(arms), ACROSS):
        some = arms[start : start + ACROSS]
        table = Table("", *("\n".join(arm[key] for key in SETTING) for arm in some))
        for key in SUMMARY:
            table.add_row(key, *(arm[key] for arm in some))
        Console().print(table)
    described = "; ".join(f"{name}: {value}" for name, value in options.described().items())
    Console().print(f"brackets: 95 % interval over images; {described}", markup=False, highlight=False)
