"""`harness roi-sweep`: what steering buys, arm against arm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import harness
from harness.cli import complete
from harness.cli.events import long
from harness.cli.failures import Failures
from harness.cli.options import (
    STORE,
    ClipCorpus,
    Clips,
    Executor,
    KeepGoing,
    Models,
    Out,
    Preset,
    Root,
    Store,
    WorkingSize,
    readable,
)  # fmt: skip
from harness.cli.output import say
from harness.cli.progress import progress, remark
from harness.errors import InputError


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("roi-sweep")(long(roi_sweep))


def roi_sweep(
    models: Models = None,
    corpus: ClipCorpus = "davis-2016",
    root: Root = None,
    clips: Clips = None,
    videos: Annotated[
        list[Path] | None,
        typer.Option(
            "--video",
            help="A clip without masks, instead of a corpus; needs --reference; repeatable.",
            parser=readable,
            metavar="PATH|URL",
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Model whose map above 0.5 is the region of --video; best one that steers no arm."),
    ] = None,
    encoders: Annotated[
        list[str] | None,
        typer.Option(
            "--encoder", help="Repeatable [default: libx264]; see `harness doctor`.", autocompletion=complete.encoders
        ),
    ] = None,
    crfs: Annotated[
        list[float] | None, typer.Option("--crf", help="Repeatable, four or more [default: 22, 27, 32 and 37].")
    ] = None,
    strengths: Annotated[list[float] | None, typer.Option("--strength", help="Repeatable [default: 4].")] = None,
    budgets: Annotated[
        list[str] | None,
        typer.Option(
            "--budget",
            help="Compare arms where each pays this, in per cent of bits at equal whole-frame quality: vmaf=1; "
            "repeatable. Each arm's strength is sought clip by clip, by real encodes.",
        ),
    ] = None,
    laws: Annotated[
        list[str] | None,
        typer.Option("--law", help="From map to offset, beside --budget; repeatable: map, centre:0.5."),
    ] = None,
    oracle: Annotated[bool, typer.Option(help="Beside --budget: the region itself as an arm too.")] = True,
    preset: Preset = None,
    working_size: WorkingSize = "448x256",
    frames: Annotated[int | None, typer.Option(help="Only the first so many frames of each clip.")] = None,
    executor: Executor = "local",
    store: Store = STORE,
    out: Out = Path("results/roi"),
    name: Annotated[str, typer.Option(help="First part of the tables' names.")] = "sweep",
    keep_going: KeepGoing = False,
) -> None:
    """Encode clips at several rates, steered by every arm, and compare the rates at equal quality.

    Arms: plain, each model, centre prior, shuffled (another clip's maps), oracle (the region itself). The region is
    the clip's human masks, or for a --video what the --reference model says: never the map that steered. Clips that
    cannot be measured, such as one without foreground, are named and left out before the first encode.

    At equal strength one arm may take more from the rest of the frame than another: --budget compares them at equal
    cost instead.

    Example: `harness roi-sweep --model saliency_student_v3 --budget vmaf=0 --budget vmaf=1 --root corpora`
    """
    from harness.cells import markdown
    from harness.locks import folder_held
    from harness.models.registry import PRODUCTION
    from harness.tables import check_name

    check_name(name)
    usual, failures = harness.SweepPlan((PRODUCTION,)), Failures(keep_going)
    words: dict[str, Any] = {
        "models": tuple(models or usual.models),
        "encoders": tuple(encoders or usual.encoders),
        "crfs": tuple(crfs or usual.crfs),
        "preset": preset or None,
        "working": working_size,
        "frames": frames,
    }
    chosen = harness.Clips(corpus, root, tuple(clips or ()), tuple(videos or ()), reference)
    how: dict[str, Any] = {"executor": executor, "store": store, "name": name}
    how |= {"announce": lambda line: say(line, to_stderr=True), "failed": failures.hear}
    if laws and not budgets:
        raise InputError("--law without --budget (allowed: both; at equal strength the map decides alone)")
    if not oracle and not budgets:
        raise InputError("--no-oracle without --budget (allowed: both)")
    if budgets and strengths:
        raise InputError("--strength beside --budget (allowed: one; a budget seeks the strength)")
    if budgets:
        costs = harness.CostPlan(
            **words, budgets=tuple(budgets), laws=tuple(laws or harness.CostPlan.laws), oracle=oracle
        )
        with folder_held(out):
            with progress("encoding and measuring", "arms") as report:
                tables = harness.roi_at_cost(costs, chosen, progress=report, **how)
            page = harness.write_sweep(tables, out)[-1]
        say(markdown(tables[0].rows))
        remark(f"to look at: {page}")
        failures.leave()
        return
    plan = harness.SweepPlan(**words, strengths=tuple(strengths or usual.strengths))
    with folder_held(out):
        with progress("encoding and measuring", "arms") as report:
            found = harness.roi_sweep(plan, chosen, progress=report, **how)
        written = harness.write_sweep(found, out)
    say(markdown(found.summary))
    names = ", ".join(path.name for path in written if path.suffix == ".png")
    remark(f"curves and sheets in {out}: {names}; to look at: {written[-1]}")
    failures.leave()
