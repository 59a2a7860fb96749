"""`harness roi-sweep`: what steering buys, arm against arm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from harness.cli.progress import progress


def register(app: typer.Typer) -> None:
    app.command("roi-sweep")(roi_sweep)


def roi_sweep(
    model: Annotated[
        list[str] | None,
        typer.Option(help="Registry id, `production` (default) or a path; repeat: candidate first."),
    ] = None,
    corpus: Annotated[str, typer.Option(help="Clip set with human masks.")] = "davis-2016",
    root: Annotated[Path | None, typer.Option(help="Where the clip set lies.")] = None,
    clip: Annotated[list[str] | None, typer.Option(help="Only these clips; repeat for more.")] = None,
    video: Annotated[
        list[Path] | None, typer.Option(help="A clip without masks, instead of a corpus; needs --reference.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Model whose map above 0.5 is the region of --video; best one that steers no arm."),
    ] = None,
    encoder: Annotated[list[str] | None, typer.Option(help="Default libx264; repeat for more.")] = None,
    crf: Annotated[list[float] | None, typer.Option(help="Default 22, 27, 32, 37; four or more.")] = None,
    strength: Annotated[list[float] | None, typer.Option(help="Default 4; repeat for more.")] = None,
    preset: Annotated[str | None, typer.Option(help="The encoder's preset.")] = None,
    working_size: Annotated[str, typer.Option(help="native, N, short:N or WxH.")] = "448x256",
    frames: Annotated[int | None, typer.Option(help="Only the first so many frames of each clip.")] = None,
    executor: Annotated[str, typer.Option(help="local, local:WORKERS, dask://HOST:PORT or slurm.")] = "local",
    store: Annotated[Path, typer.Option(help="Finished jobs: a rerun computes only what is missing.")] = Path(
        ".harness-jobs"
    ),
    out: Annotated[Path, typer.Option(help="Folder for tables, curves and sheets.")] = Path("results/roi"),
    name: Annotated[str, typer.Option(help="First part of the tables' names.")] = "sweep",
) -> None:
    """Encode clips at several rates, steered by every arm, and compare the rates at equal quality.

    Arms: plain, each model, centre prior, shuffled (another clip's maps), oracle (the region itself). The region is
    the clip's human masks, or for a --video what the --reference model says: never the map that steered.

    Example: `harness roi-sweep --model saliency_student_v2 --model saliency_student_v1 --root corpora`
    """
    from corpora.loader import clip_digest, load_clips
    from harness.cells import markdown
    from harness.errors import InputError
    from harness.files import sha256_of
    from harness.jobs import Store, open_executor
    from harness.jobs.provenance import code_of, this_command
    from harness.models.registry import PRODUCTION
    from harness.models.sources import CentrePrior
    from harness.models.working_size import WorkingSize
    from harness.studies.roi.encode import map_source
    from harness.studies.roi.reference import ABOVE, clips_with_regions
    from harness.studies.roi.sheets import write_sheets
    from harness.studies.roi.sweep import MASK, REFERENCE, SweepPlan, bd_rates, models_of, summary, sweep
    from harness.tables import Table, write_table

    plan = SweepPlan(
        tuple(model or [PRODUCTION]),
        tuple(encoder or ["libx264"]),
        tuple(crf or [22, 27, 32, 37]),
        tuple(strength or [4.0]),
        preset,
        working_size,
        frames,
        REFERENCE if video else MASK,
    )
    sources = models_of(plan)
    if video:
        if reference is None:
            raise InputError("--video has no masks: name an independent --reference model")
        judge = map_source(reference)
        where = f"where {judge.name} says > {ABOVE}"
        if judge.digest in {CentrePrior().digest, *(source.digest for source in sources)}:
            where += ", which steers too: its arm is flattered"
        clips = clips_with_regions(video, judge, WorkingSize.parse(working_size), store / "regions", frames)
    elif reference is not None:
        raise InputError(f"--reference is for --video: the masks of {corpus} are its region")
    else:
        where = "inside the human mask alone"
        clips = load_clips(corpus, root)
    unknown = set(clip or ()) - {pair.name for pair in clips}
    if unknown:
        raise InputError(f"no clip {min(unknown)!r} (allowed: {', '.join(pair.name for pair in clips)})")
    clips = [pair for pair in clips if not clip or pair.name in clip]
    with progress("arms encoded and measured") as report:
        rows = sweep(clips, plan, lambda: open_executor(executor), Store(store), report)
    rates = bd_rates(rows)
    table = summary(rates)
    covered = f"{len(clips)} clips ({', '.join(pair.name for pair in clips)}), " + (
        f"the first {frames} frames of each" if frames else "all frames"
    )
    settings = {
        "corpus": "none" if video else corpus,
        "clips": covered,
        "crfs": list(plan.crfs),
        "preset": preset or "the encoder's default",
    }
    models = {source.name: source.digest for source in sources}
    data = {f"{corpus}/{pair.name}": clip_digest(pair) for pair in clips}
    if video:
        data = {f"video {pair.name}": sha256_of(pair.frames) for pair in clips}
        data |= {f"reference {judge.name}": judge.digest}
    notes = (
        "BD-rate in per cent against the plain encode (PCHIP, at least 4 points); below 0 saves bits.",
        "low, high: 95 % bounds over clips, Student's t below 30 of them.",
        "vs_*: paired difference to the centre prior, below 0 beats it.",
        f"@{plan.region}: {where}; vmaf@{plan.region}: everything outside replaced by the original.",
        "Offsets have a zero mean over each frame's area; no smoothing over time.",
    )
    command, code = this_command(), code_of(sweep.__module__)
    for part, title, content in (
        ("bdrate", "What steering buys", table),
        ("bdrate_by_clip", "BD-rate by clip", rates),
        ("points", "All encodes", rows),
    ):
        found = Table(f"roi.{part}", f"{name}_{part}", title, content, command, models, data, code, settings, notes)
        write_table(found, out)
    pictures = write_sheets(clips, plan, rows, rates, out, name)
    Console().print(markdown(table), markup=False, soft_wrap=True)
    names = ", ".join(path.name for path in pictures)
    Console(stderr=True).print(f"curves and sheets in {out}: {names}", markup=False, soft_wrap=True)
