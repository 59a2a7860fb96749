"""`harness ladder`: how `saliency_mean` behaves along a ladder of encodes over a clip set."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

import harness
from harness.cli.events import long
from harness.cli.failures import Failures
from harness.cli.options import (
    STORE,
    AsJson,
    ClipCorpus,
    Clips,
    DryRun,
    Encoder,
    Every,
    Executor,
    Fps,
    KeepGoing,
    Metrics,
    Models,
    Out,
    Preset,
    Root,
    Store,
    VmafModels,
    parse_metrics,
    parse_rate,
)  # fmt: skip
from harness.cli.output import print_json, say
from harness.cli.progress import progress
from harness.cli.terminal import terminal
from harness.errors import InputError


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("ladder")(long(ladder))


def ladder(
    corpus: ClipCorpus = "davis-2016",
    root: Root = None,
    clips: Clips = None,
    models: Models = None,
    encoder: Encoder = "libx264",
    preset: Preset = "medium",
    crfs: Annotated[list[int] | None, typer.Option("--crf", help="Repeatable [default: 22, 27, 32 and 37].")] = None,
    fps: Fps = None,
    every: Every = 1,
    vmaf_models: VmafModels = None,
    metrics: Metrics = None,
    executor: Executor = "local",
    store: Store = STORE,
    out: Out = Path("runs/ladder"),
    dry_run: DryRun = False,
    keep_going: KeepGoing = False,
    as_json: AsJson = False,
) -> None:
    """Encode every clip of a set at every CRF, score all, and write tables of how `saliency_mean` moves.

    Example: `harness ladder --corpus davis-2016 --crf 22 --crf 27 --crf 32 --crf 37 --model saliency_student_v2`
    """
    from rich.markdown import Markdown

    from harness.cells import markdown
    from harness.files import check_writable
    from harness.jobs import executor_maker
    from harness.models.registry import PRODUCTION
    from harness.tables import table_json

    usual = harness.LadderPlan()
    plan = harness.LadderPlan(
        encoder,
        preset or None,
        tuple(crfs or usual.crfs),
        fps or usual.fps,
        every,
        tuple(vmaf_models or usual.vmaf_models),
        parse_metrics(metrics, usual.metrics),
    )
    executor_maker(executor)  # refused here in a dry run too, as an --out that is a file
    check_writable(out / "encodes.csv")
    if fps:
        _check_rate(fps, corpus, root, clips or ())
    if dry_run:
        from harness.studies.score.dry_run import dry_ladder

        rungs = dry_ladder(models or [PRODUCTION], corpus, plan, root=root, clips=clips or ())
        if as_json:
            print_json({"planned": [dataclasses.asdict(rung) for rung in rungs]})
            return
        for rung in rungs:
            say(f"{rung.clip}: {rung.picture}, {rung.frames} frames")
            for command in rung.encodes:
                say(f"  {command}")
            say(f"  then reference: {rung.reference_chain}")
            say(f"       distorted: {rung.distorted_chain}")
        say(f"{len(rungs)} clips, {len(rungs) * len(plan.crfs)} encodes")
        return
    failures = Failures(keep_going)
    with progress("encoding and scoring", "encodes") as report:
        found = harness.ladder(
            models or [PRODUCTION], corpus, plan,
            root=root, clips=clips or (), executor=executor, store=store, out=out, progress=report,
            failed=failures.hear,
        )  # fmt: skip
    if as_json:
        print_json({"tables": {table.name: table_json(table) for table in found.findings}})
        failures.leave()
        return
    console = terminal()
    for table in found.findings:
        console.print(Markdown(f"**{table.title}**\n\n{markdown(table.rows)}"))
    say(f"tables and rows in {out}")
    failures.leave()


def _check_rate(fps: str, corpus: str, root: Path | None, clips: Sequence[str]) -> None:
    """`InputError` for what is no rate, and for one where every clip states its own."""
    from corpora.loader import load_clips

    parse_rate(fps)
    if not any(clip.frames.is_dir() for clip in load_clips(corpus, root, clips)):
        raise InputError(f"--fps for clips of {corpus}, which state their own (allowed for: folders of pictures)")
