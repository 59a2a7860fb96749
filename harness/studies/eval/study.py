"""An evaluation from names to files: corpora are found, models opened, maps measured, tables and figures written."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from corpora.loader import Pair, load_pairs, pairs_in
from harness.errors import InputError
from harness.files import check_writable
from harness.jobs import LeftOut, executor_maker
from harness.jobs.provenance import command_line
from harness.locks import folder_held
from harness.models.sources import MapFolder, find_source
from harness.studies.eval.compare import with_intervals
from harness.studies.eval.options import EvalOptions, refuse_repeats
from harness.studies.eval.report import (
    document,
    notebook,
    report_tables,
    summary,
    write_page,
    write_report,
    write_sheet,
)
from harness.studies.eval.result import Evaluation
from harness.studies.eval.run import evaluate_pairs, usual_workers
from harness.studies.eval.tools import find_tool
from harness.tables import Table, left_out_notes

OwnSets = Mapping[str, tuple[Path, Path]]
"""Sets of one's own by name: their folders of pictures and of masks."""

LOCAL = "local"  # so many processes as the images are worth
PARTS = ".parts"  # of an unfinished run


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation found: the sums behind every number, the numbers with intervals, and paired differences of
    every two models, as tables too; and the files that were written."""

    evaluation: Evaluation
    numbers: pd.DataFrame
    paired: pd.DataFrame
    tables: tuple[Table, ...]
    settings: Mapping[str, str]
    names: Mapping[str, str] | None = None
    written: tuple[Path, ...] = ()

    @property
    def summary(self) -> pd.DataFrame:
        """One row per arm: `value [low, high]` of the usual numbers, or of those that another tool prints."""
        return summary(self.numbers, self.names)

    def as_json(self) -> dict[str, Any]:
        """Options, digests and all rows, for a script."""
        return document(self.evaluation, self.numbers, self.paired)

    def _repr_html_(self) -> str:
        """As a notebook shows it: the summary, the curves, and the sheets that were written."""
        return notebook(self.evaluation, self.summary, self.written)


def evaluate(
    models: Sequence[str],
    corpora: Sequence[str],
    options: EvalOptions = EvalOptions(),
    *,
    maps: Sequence[str] = (),
    own: OwnSets | None = None,
    as_tool: str | None = None,
    root: Path | None = None,
    limit: int | None = None,
    workers: int | None = None,
    executor: str = LOCAL,
    store: Path | str | None = None,
    save_maps: Path | None = None,
    out: Path | None = None,
    sheet: bool = False,
    notes: Sequence[str] = (),
    look: Callable[[Mapping[str, Sequence[Pair]]], None] = lambda sets: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    failed: Callable[[str, str], None] | None = None,
) -> Evaluated:
    """Measure saliency maps against human masks.

    Args:
        models: Registry ids, `production`, paths to .onnx files, or `centre-prior`.
        corpora: Image sets by name, such as `ecssd`.
        options: Everything else that changes numbers: working sizes, distortions, colour, threshold of the masks.
        maps: Folders of maps that any method made, `DIR` or `NAME=DIR`, with `DIR/[CORPUS/]IMAGE` of any suffix, size,
            prefix and postfix.
        own: Image sets of one's own by name: the folders of pictures and of masks, paired by their files' stems.
        as_tool: Read maps and masks and print numbers as another tool does: `pysodmetrics` or `sal-eval-toolbox`.
        root: Where the corpora lie; else `HARNESS_CORPORA`, then the cache.
        limit: Only the first so many images of each corpus.
        workers: Processes, which change no number; else as many as the images are worth.
        executor: Where jobs run instead: `local:WORKERS`, `dask://HOST:PORT` or `slurm[:NAME=VALUE,…]`; it changes no
            number either.
        store: Folder or URL of finished jobs that is kept; else they are in `out` until all is done.
        save_maps: Folder for every map, as PNG.
        out: Folder for tables, per-image rows, figures and `report.html`; a run that was stopped is taken up there, and
            no other run may write there at the same time.
        sheet: Also write a sheet of best, median and worst images, which shows the corpus's pictures.
        notes: Printed under the tables.
        look: Sees the sets, as far as they are measured, when all else is found to be right.
        progress: Hears (images done, all).
        failed: Hears the name, as `ecssd/0012` or a model's, and the reason of what cannot be measured; it is left out,
            which the tables say, and the others go on [default: the first one ends the run].

    Returns:
        Numbers with 95 % intervals and paired differences; equal input gives equal numbers.

    Raises:
        InputError: For an unknown or refused model, an absent corpus, a picture that cannot be measured (none is
            skipped unless `failed` hears of it), or a sheet or notes without `out`.
    """
    own = own or {}
    refuse_repeats("corpus", [name.lower() for name in (*corpora, *own)])
    if workers and executor != LOCAL:
        raise InputError(f"{workers} workers with executor {executor} (allowed: one of the two, as local:{workers})")
    maker = executor_maker(executor)
    tool = find_tool(as_tool) if as_tool else None
    if tool:
        options = replace(options, minmax=tool.minmax, by_maximum=tool.by_maximum, truth_threshold=tool.truth_threshold)
    for name, given in (("--sheet", sheet), ("--note", notes)):
        if given and not out:
            raise InputError(f"{name} needs --out, the folder that it goes to")
    pairs = sets_of(corpora, root, own)
    folders = _folders(maps, pairs, limit, complete=failed is None)
    sources = [*map(find_source, models), *folders]
    if out:
        check_writable(out / PARTS)
    with folder_held(out) if out else nullcontext():
        look({name: found[:limit] for name, found in pairs.items()})
        lost = LeftOut(failed)
        evaluation = evaluate_pairs(
            sources,
            pairs,
            options,
            limit=limit,
            workers=workers or usual_workers(max(len(found[:limit]) for found in pairs.values())),
            executor=None if executor == LOCAL else maker,
            store=store or (out / PARTS if out else None),
            save_maps=save_maps,
            progress=progress,
            failed=lost.hear,
        )
        numbers, paired = with_intervals(evaluation)
        command = repeat_command(
            models, corpora, options, maps, root, limit, out, sheet, notes, own, as_tool, failed is not None
        )  # fmt: skip
        stated = {f"maps of {folder.name}": folder.sizes for folder in folders} | ({"as": as_tool} if as_tool else {})
        names = tool.names if tool else None
        said = [*notes, *left_out_notes(lost)]
        tables = tuple(report_tables(evaluation, numbers, paired, command, said, names=names, stated=stated))
        found = Evaluated(evaluation, numbers, paired, tables, {**options.described(), **stated}, names)
        if out is None:
            return found
        written = write_report(evaluation, numbers, tables, out)
        if sheet:
            sources = [source for source in sources if source.name not in lost]
            shown = {
                name: [pair for pair in some[:limit] if f"{name}/{pair.name}" not in lost]
                for name, some in pairs.items()
            }
            written += write_sheet(evaluation, shown, sources, out)
        written.append(write_page(evaluation, tables, written, out))
        shutil.rmtree(out / PARTS, ignore_errors=True)
        return replace(found, written=tuple(written))


def sets_of(corpora: Sequence[str], root: Path | None = None, own: OwnSets | None = None) -> dict[str, list[Pair]]:
    """The pairs of corpora and of one's own sets, by name; `InputError` when there is no set at all."""
    if not corpora and not own:
        raise InputError("nothing to measure on (allowed: --corpus NAME, or --images DIR with --masks DIR)")
    found = {name: load_pairs(name, root) for name in corpora}
    return found | {name: pairs_in(images, masks) for name, (images, masks) in (own or {}).items()}


def repeat_command(
    models: Sequence[str],
    corpora: Sequence[str],
    options: EvalOptions,
    maps: Sequence[str] = (),
    root: Path | None = None,
    limit: int | None = None,
    out: Path | None = None,
    sheet: bool = False,
    notes: Sequence[str] = (),
    own: OwnSets | None = None,
    as_tool: str | None = None,
    keep_going: bool = False,
) -> str:
    """The `harness eval` that makes the same tables, with everything that decides them."""
    usual = replace(options, minmax=False, by_maximum=False, truth_threshold=EvalOptions().truth_threshold)
    chosen = usual if as_tool else options
    sets = own or {}
    return command_line(
        "eval",
        {
            "--corpus": corpora,
            "--images": [images for images, _ in sets.values()],
            "--masks": [masks for _, masks in sets.values()],
            "--name": list(sets),
            "--root": [root],
            "--model": models,
            "--maps": maps,
            "--working-size": options.working_sizes,
            "--distort": options.distortions,
            "--colour": [options.colour] if options.colour != EvalOptions().colour else [],
            "--as": [as_tool],
            "--minmax": chosen.minmax,
            "--truth-threshold": [chosen.truth_threshold] if chosen.truth_threshold != usual.truth_threshold else [],
            "--limit": [limit],
            "--sheet": sheet,
            "--keep-going": keep_going,
            "--out": [out],
            "--note": notes,
        },
    )


def _folders(
    maps: Sequence[str], pairs: Mapping[str, Sequence[Pair]], limit: int | None, complete: bool
) -> list[MapFolder]:
    wanted = [f"{name}/{pair.name}" for name, found in pairs.items() for pair in found[:limit]]
    return [MapFolder.named(asked, wanted, complete) for asked in maps]
