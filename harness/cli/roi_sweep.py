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
    model: Annotated[list[str], typer.Option(help="Registry id, `production` or a path; repeat: candidate first.")],
    corpus: Annotated[str, typer.Option(help="Clip set with human masks.")] = "davis-2016",
    root: Annotated[Path | None, typer.Option(help="Where the clip set lies.")] = None,
    clip: Annotated[list[str] | None, typer.Option(help="Only these clips; repeat for more.")] = None,
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

    Arms: plain, each model, centre prior, shuffled (another clip's maps), oracle (human masks). Quality inside the
    region is weighed by the human masks, never by the map that steered.

    Example: `harness roi-sweep --model saliency_student_v2 --model saliency_student_v1 --root corpora`
    """
    from corpora.loader import load_clips
    from harness.errors import InputError
    from harness.jobs import Store, open_executor
    from harness.results import Table, markdown, this_command, write_table
    from harness.steer import map_source
    from harness.sweep import SweepPlan, bd_rates, summary, sweep
    from harness.sweep_sheets import write_sheets

    plan = SweepPlan(
        tuple(model),
        tuple(encoder or ["libx264"]),
        tuple(crf or [22, 27, 32, 37]),
        tuple(strength or [4.0]),
        preset,
        working_size,
        frames,
    )
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
    inputs = {"corpus": corpus, "clips": covered, "crfs": list(plan.crfs), "preset": preset or "the encoder's default"}
    inputs |= {source.name: source.digest for source in map(map_source, model)}
    notes = (
        "BD-rate in per cent against the plain encode (PCHIP, at least 4 points); below 0 saves bits.",
        "low, high: 95 % bootstrap bounds over clips; vs_*: paired difference to the centre prior, below 0 beats it.",
        "@mask: inside the human mask alone; vmaf@mask: everything outside replaced by the reference.",
        "Offsets have a zero mean over each frame's area; no smoothing over time.",
    )
    command = this_command()
    for part, title, content in (
        ("bdrate", "What steering buys", table),
        ("bdrate_by_clip", "BD-rate by clip", rates),
        ("points", "All encodes", rows),
    ):
        write_table(Table(f"{name}_{part}", title, content, command, inputs, notes), out)
    pictures = write_sheets(clips, plan, rows, rates, out, name)
    Console().print(markdown(table), markup=False, soft_wrap=True)
    names = ", ".join(path.name for path in pictures)
    Console(stderr=True).print(f"curves and sheets in {out}: {names}", markup=False, soft_wrap=True)
