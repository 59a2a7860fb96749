"""`harness eval`: maps against human masks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

import harness
from harness.cli.events import long
from harness.cli.failures import Failures
from harness.cli.options import (
    AsJson,
    Check,
    Corpora,
    Executor,
    KeepGoing,
    Limit,
    MapModels,
    OptionalStore,
    Root,
    Workers,
    WorkingSizes,
    readable,
)  # fmt: skip
from harness.cli.output import print_json
from harness.cli.progress import remark, stages
from harness.cli.survey import look_over
from harness.cli.terminal import terminal
from harness.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


ACROSS = 2  # of 20 characters a number, in 80 columns
Colour = Literal["rgb", "mobilesal"]
Tool = Literal["pysodmetrics", "sal-eval-toolbox"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("eval")(long(run))


def run(
    corpora: Corpora = None,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            help="A set of your own: its pictures; masks of the same names: --masks.",
            parser=readable,
            metavar="PATH|URL",
        ),
    ] = None,
    masks: Annotated[
        Path | None, typer.Option("--masks", help="Its masks.", parser=readable, metavar="PATH|URL")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="What tables call it [default: its folder's name].")
    ] = None,
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
    as_tool: Annotated[
        Tool | None, typer.Option("--as", help="Read maps and masks, and name numbers, as another tool does.")
    ] = None,
    minmax: Annotated[bool, typer.Option("--minmax", help="Stretch each map to 0..1 first.")] = False,
    truth_threshold: Annotated[
        int | None,
        typer.Option("--truth-threshold", min=0, max=254, help="Mask pixels above it are foreground [default: 128]."),
    ] = None,
    limit: Limit = None,
    workers: Workers = None,
    executor: Executor = "local",
    store: OptionalStore = None,
    save_maps: Annotated[Path | None, typer.Option("--save-maps", help="Write every map there as PNG.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write tables, per-image rows, curves there; a killed run resumes.")
    ] = None,
    sheet: Annotated[bool, typer.Option("--sheet", help="Also a sheet of best, median, worst images.")] = False,
    note: Annotated[list[str] | None, typer.Option("--note", help="Printed under the tables; repeatable.")] = None,
    keep_going: KeepGoing = False,
    check: Check = False,
    as_json: AsJson = False,
) -> None:
    """Measure saliency maps against human masks.

    The first model is what the others are compared with. Without --out only the usual numbers are printed.
    --json prints options, digests, all numbers with 95 % intervals, and paired differences.

    Example: `harness eval --corpus ecssd --model production --model centre-prior --working-size 256`

    A paper's table: `harness eval --images DIR --masks DIR --maps U2Net=DIR --as pysodmetrics`
    """
    from harness.models.registry import PRODUCTION
    from harness.studies.eval.tools import find_tool

    sizes = tuple(harness.WorkingSize.parse(text) for text in working_sizes or ["native"])
    distortions = tuple(harness.Distortion.parse(text) for text in distort or ())
    if as_tool and (minmax or truth_threshold is not None):
        raise InputError(f"--as {as_tool} sets --minmax and --truth-threshold itself (allowed: it alone, or those)")
    threshold = find_tool(as_tool).truth_threshold if as_tool else 128 if truth_threshold is None else truth_threshold
    options = harness.EvalOptions(sizes, distortions, colour, minmax, threshold)
    own, failures = _own_set(images, masks, name), Failures(keep_going)
    with stages({"": "images"}) as report:
        found = harness.evaluate(
            models or ([] if maps else [PRODUCTION]), corpora or (), options,
            maps=maps or (), own=own, as_tool=as_tool, root=root, limit=limit, workers=workers, executor=executor,
            store=store, save_maps=save_maps, out=out, sheet=sheet, notes=note or (),
            look=lambda sets: look_over(sets, threshold, check, report, keep_going),
            progress=partial(report, "measuring"), failed=failures.hear,
        )  # fmt: skip
    if out:
        remark(f"{len(found.written)} files in {out}; to look at: {found.written[-1]}")
    if as_json:
        print_json(found.as_json())
    else:
        _show(found.summary, found.settings)
    failures.leave()


def _own_set(images: Path | None, masks: Path | None, name: str | None) -> dict[str, tuple[Path, Path]]:
    if images is None and masks is None and name is None:
        return {}
    if images is None or masks is None:
        raise InputError("--images, --masks and --name describe one set (allowed: the first two together)")
    if name and (name != Path(name).name or name == ".."):  # files and folders are called so
        raise InputError(f"--name {name!r} (allowed: what a file can be called, without a /)")
    shared = images.resolve().parent == masks.resolve().parent
    return {name or (images.resolve().parent if shared else images.resolve()).name: (images, masks)}


def _show(rows: pd.DataFrame, settings: Mapping[str, str]) -> None:
    """Measures down, arms across, a few at a time: all stays readable in a narrow terminal."""
    from harness.studies.eval.report import SETTING

    arms = rows.to_dict(orient="records")
    for start in range(0, len(arms), ACROSS):
        some = arms[start : start + ACROSS]
        table = Table("", *("\n".join(arm[key] for key in SETTING) for arm in some))
        for key in rows.columns.drop(SETTING):
            table.add_row(key, *(arm[key] for arm in some))
        terminal().print(table)
    described = "; ".join(f"{name}: {value}" for name, value in settings.items())
    terminal().print(f"brackets: 95 % interval over images; {described}")
