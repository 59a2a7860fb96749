"""`harness eval`: maps against human masks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from corpora.loader import load_pairs
from harness.cli.progress import progress
from harness.errors import InputError
from harness.models.registry import PRODUCTION
from harness.models.sources import MapFolder
from harness.models.working_size import WorkingSize
from harness.saliency.distort import Distortion
from harness.studies.eval.compare import with_intervals
from harness.studies.eval.report import SETTING, SUMMARY, document, summary, write_report, write_sheet
from harness.studies.eval.run import MapSource, Options, evaluate, find_source, refuse_repeats, usual_workers
from harness.tables import this_command

PARTS = ".parts"  # of an unfinished run
ACROSS = 2  # of 20 characters a number, in 80 columns
Colour = Literal["rgb", "mobilesal"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("eval")(run)


def run(
    split: Annotated[list[str], typer.Option("--split", help="Image set, e.g. ecssd or duts-te; repeatable.")],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="Registry id, .onnx path, or centre-prior; repeatable [default: production]."),
    ] = None,
    maps: Annotated[
        list[str] | None,
        typer.Option("--maps", metavar="[NAME=]DIR", help="PNG maps at DIR/[SPLIT/]IMAGE.png; repeatable."),
    ] = None,
    root: Annotated[Path | None, typer.Option("--root", help="Where the sets lie [default: HARNESS_CORPORA].")] = None,
    working_size: Annotated[
        str, typer.Option("--working-size", help="Comma list of native, N, short:N, WxH: what the model sees.")
    ] = "native",
    distort: Annotated[str | None, typer.Option(help="Also after compression: crf=23,33,43 or jpeg=80,50.")] = None,
    colour: Annotated[
        Colour, typer.Option(help="What models see: the picture, or the extractor's idea of it.")
    ] = "rgb",
    minmax: Annotated[bool, typer.Option("--minmax", help="Stretch each map to 0..1 first.")] = False,
    truth_threshold: Annotated[int, typer.Option(min=0, max=254, help="Mask pixels above it are foreground.")] = 128,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N images of each split.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; they change no number [default: by cores and images].")
    ] = None,
    save_maps: Annotated[Path | None, typer.Option("--save-maps", help="Write every map there as PNG.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write tables, per-image rows, curves there; a killed run resumes.")
    ] = None,
    sheet: Annotated[bool, typer.Option("--sheet", help="Also a sheet of best, median, worst images.")] = False,
    note: Annotated[list[str] | None, typer.Option("--note", help="Printed under the tables; repeatable.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Measure saliency maps against human masks.

    The first model is what the others are compared with. Without --out only the usual numbers are printed.
    --json prints options, digests, all numbers with 95 % intervals, and paired differences.

    Example: `harness eval --split ecssd --model production --model centre-prior --working-size 256 --out results/eval`
    """
    sizes = tuple(WorkingSize.parse(text.strip()) for text in working_size.split(","))
    distortions = Distortion.parse_list(distort) if distort else ()
    options = Options(sizes, distortions, colour, minmax, truth_threshold)
    refuse_repeats("split", [name.lower() for name in split])
    for name, given in (("--sheet", sheet), ("--note", note)):
        if given and not out:
            raise InputError(f"{name} needs --out, the folder that it goes to")
    pairs = {name: load_pairs(name, root) for name in split}
    sources: list[MapSource] = [find_source(name) for name in model or ([] if maps else [PRODUCTION])]
    wanted = [f"{name}/{pair.name}" for name, found in pairs.items() for pair in found[:limit]]
    sources += [MapFolder.named(asked, wanted) for asked in maps or []]
    with progress("measuring") as report:
        evaluation = evaluate(
            sources,
            pairs,
            options,
            limit=limit,
            workers=workers or usual_workers(max(len(found[:limit]) for found in pairs.values())),
            store=out / PARTS if out else None,
            save_maps=save_maps,
            progress=report,
        )
    numbers, paired = with_intervals(evaluation)
    if out:
        written = write_report(evaluation, numbers, paired, out, this_command(), note or ())
        written += (
            write_sheet(evaluation, {name: p[:limit] for name, p in pairs.items()}, sources, out) if sheet else []
        )
        shutil.rmtree(out / PARTS, ignore_errors=True)
        Console(stderr=True).print(f"{len(written)} files in {out}", highlight=False)
    if as_json:
        typer.echo(json.dumps(document(evaluation, numbers, paired), indent=2, allow_nan=False))
    else:
        _show(summary(numbers), evaluation.options)


def _show(rows: pd.DataFrame, options: Options) -> None:
    """Measures down, arms across, a few at a time: all stays readable in a narrow terminal."""
    arms = rows.to_dict(orient="records")
    for start in range(0, len(arms), ACROSS):
        some = arms[start : start + ACROSS]
        table = Table("", *("\n".join(arm[key] for key in SETTING) for arm in some))
        for key in SUMMARY:
            table.add_row(key, *(arm[key] for arm in some))
        Console().print(table)
    described = "; ".join(f"{name}: {value}" for name, value in options.described().items())
    Console().print(f"brackets: 95 % interval over images; {described}", markup=False, highlight=False)
