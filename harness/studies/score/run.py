"""A ladder from names to files: clips and models are found, encodes made and scored, tables written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from corpora.loader import load_clips
from harness.jobs import Store, executor_maker
from harness.jobs.provenance import command_line
from harness.locks import folder_held
from harness.models.registry import find_model
from harness.studies.score.ladder import LadderPlan, LadderRows, run_ladder
from harness.studies.score.tables import ROWS, ladder_tables
from harness.tables import Table, write_table


@dataclass(frozen=True)
class Laddered:
    """What a ladder found: its rows, one per frame, the tables that are made of them, and the files written."""

    rows: LadderRows
    tables: tuple[Table, ...]
    written: tuple[Path, ...] = ()

    @property
    def findings(self) -> tuple[Table, ...]:
        """The tables without those that only list the rows."""
        return tuple(table for table in self.tables if table.name not in ROWS)

    def _repr_html_(self) -> str:
        """As a notebook shows it: the findings."""
        return "".join(table._repr_html_() for table in self.findings)


def ladder(
    models: Sequence[str],
    corpus: str = "davis-2016",
    plan: LadderPlan = LadderPlan(),
    *,
    root: Path | None = None,
    clips: Sequence[str] = (),
    executor: str = "local",
    store: Path | str | None = None,
    out: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    failed: Callable[[str, str], None] | None = None,
) -> Laddered:
    """Encode every clip of a set at every CRF, score all, and say how `saliency_mean` behaves along the ladder.

    Args:
        models: Registry ids, `production`, or paths to .onnx files.
        corpus: A clip set by name.
        plan: Encoder, preset, CRFs, and how encodes are scored.
        root: Where the set lies; else `HARNESS_CORPORA`, then the cache.
        clips: Only these clips of it.
        executor: Where jobs run: `local`, `local:WORKERS`, `dask://HOST:PORT` or `slurm[:NAME=VALUE,…]`.
        store: Folder or URL of finished jobs, so that a rerun computes only what is missing.
        out: Folder for the tables; no other run may write there at the same time.
        progress: Hears (jobs done, all).
        failed: Hears the name of a clip that fails and why; it is left out, which the tables say, and the others go on
            [default: the first one ends the run].

    Returns:
        Tables of agreement between models, with VMAF, with the source and with the masks, and of flicker.

    Raises:
        InputError: Before any work, for an unknown or refused model, clip, encoder setting or metric.
    """
    maker = executor_maker(executor)
    files = [find_model(model) for model in models]
    chosen = load_clips(corpus, root, clips)
    with folder_held(out) if out else nullcontext():
        rows = run_ladder(chosen, files, plan, maker, Store(store), progress, failed)
        command = repeat_command(models, corpus, plan, root, clips, out, failed is not None)
        tables = tuple(ladder_tables(rows, command, corpus))
        written = [path for table in tables if out for path in write_table(table, out)]
    return Laddered(rows, tables, tuple(written))


def repeat_command(
    models: Sequence[str],
    corpus: str,
    plan: LadderPlan,
    root: Path | None,
    clips: Sequence[str],
    out: Path | None,
    keep_going: bool = False,
) -> str:
    """The `harness ladder` that makes the same tables, with everything that decides them."""
    usual = LadderPlan()
    return command_line(
        "ladder",
        {
            "--corpus": [corpus],
            "--root": [root],
            "--clip": clips,
            "--model": models,
            "--encoder": [plan.encoder],
            "--preset": [plan.preset or ""],
            "--crf": plan.crfs,
            "--fps": [plan.fps] if plan.fps != usual.fps else [],
            "--every": [plan.every] if plan.every != usual.every else [],
            "--vmaf-model": plan.vmaf_models,
            "--metric": plan.metrics or ["none"],
            "--keep-going": keep_going,
            "--out": [out],
        },
    )
