"""A sweep from names to tables: the clips of a corpus or of anybody, arm by arm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import pandas as pd

from corpora.loader import ClipPair, clip_digest, load_clips
from corpora.memo import digests_of
from harness.errors import InputError
from harness.jobs import LeftOut, Store, executor_maker
from harness.jobs.places import is_url
from harness.jobs.provenance import code_of, command_line
from harness.models.sources import CentrePrior, MapSource, find_source
from harness.models.working_size import WorkingSize
from harness.pages.figures import png_of
from harness.pages.page import NOTEBOOK_ROWS, fragment, picture_of, rows_of
from harness.roi.encoders import Settings
from harness.roi.repeats import unsteady_note
from harness.studies.roi.costs import cost_tables, encode_at_costs
from harness.studies.roi.plan import MASK, REFERENCE, CostPlan, SweepPlan, asked_as, models_of
from harness.studies.roi.reference import ABOVE, clips_with_regions
from harness.studies.roi.sheets import mappers_of, sheet_figure
from harness.studies.roi.sweep import measurable, sweep
from harness.studies.roi.tables import bd_rates, sweep_tables
from harness.tables import Table

JOBS = Path(".harness-jobs")


@dataclass(frozen=True)
class Clips:
    """What to sweep over: clips with human masks, or anybody's videos.

    The clips of `corpus`, found under `root`, all or those of `names`; or `videos`, whose region is where the map of
    the `reference` model is above `ABOVE`.
    """

    corpus: str = "davis-2016"
    root: Path | None = None
    names: tuple[str, ...] = ()
    videos: tuple[Path, ...] = ()
    reference: str | None = None

    def __post_init__(self) -> None:
        if self.videos and self.reference is None:
            raise InputError("--video has no masks: name an independent --reference model")
        if self.reference is not None and not self.videos:
            raise InputError(f"--reference is for --video: the masks of {self.corpus} are its region")
        if self.names and self.videos:
            raise InputError("--clip names a clip of a corpus (allowed beside --video: none, name fewer videos)")


@dataclass(frozen=True)
class Swept:
    """What a sweep found: all encodes of its `clips` as `rows`, the tables that are published of them, and why other
    clips were left out, by name."""

    name: str
    plan: SweepPlan
    clips: tuple[ClipPair, ...]
    rows: pd.DataFrame
    tables: tuple[Table, ...]
    left_out: Mapping[str, str]

    @property
    def summary(self) -> pd.DataFrame:
        """Mean BD-rate over clips, arm by arm."""
        return self.tables[0].rows

    def _repr_html_(self) -> str:
        """As a notebook shows it: the summary, and the first clip's maps and curves."""
        clip = self.clips[0]
        sheet = png_of(sheet_figure(clip, self.plan, self.rows, bd_rates(self.rows), mappers_of(self.plan)))
        rows = rows_of("", self.summary, NOTEBOOK_ROWS)
        return fragment(self.tables[0].title, [rows], pictures=[picture_of(sheet, clip.name)])


def roi_sweep(
    plan: SweepPlan,
    clips: Clips = Clips(),
    *,
    executor: str = "local",
    store: Path | str = JOBS,
    name: str = "sweep",
    progress: Callable[[int, int], None] | None = None,
    announce: Callable[[str], None] = lambda line: None,
    failed: Callable[[str, str], None] | None = None,
) -> Swept:
    """Encode clips at several rates, steered by every arm, and compare the rates at equal quality.

    Args:
        plan: Encoders, CRFs, strengths and models; its `region` is set by what `clips` are.
        clips: What to encode.
        executor: Where jobs run: `local`, `local:WORKERS`, `dask://HOST:PORT` or `slurm[:NAME=VALUE,…]`.
        store: Folder or URL of finished jobs, so that a rerun computes only what is missing.
        name: First part of the names of tables and pictures.
        progress: Hears (arms done, all).
        announce: Hears, before the first encode, of every clip that is left out.
        failed: Hears the name of a clip that fails and why; it is left out, which the tables say, and the others go on
            [default: the first one ends the run].

    Returns:
        Rows and tables, the same wherever the jobs ran; `harness.write_sweep` writes and draws them.

    Raises:
        InputError: An unknown model, encoder or clip, or no clip that can be measured.
        HarnessError: An encoder does not follow a map.

    Example:
        >>> plan = SweepPlan(("saliency_student_v3",), frames=24)
        >>> roi_sweep(plan, Clips(names=("libby", "dog"))).summary  # doctest: +SKIP
    """
    maker, ready = executor_maker(executor), _ready(plan, clips, store, announce, failed)
    rows = sweep(ready.able, ready.plan, maker, Store(store), progress, ready.left_out.hear)
    command = repeat_command(plan, clips, name, failed is not None)
    tables = sweep_tables(rows, ready.plan, name, command=command, **ready.told)
    return Swept(name, ready.plan, tuple(ready.measured), rows, tables, ready.left_out)


def roi_at_cost(
    plan: CostPlan,
    clips: Clips = Clips(),
    *,
    executor: str = "local",
    store: Path | str = JOBS,
    name: str = "sweep",
    progress: Callable[[int, int], None] | None = None,
    announce: Callable[[str], None] = lambda line: None,
    failed: Callable[[str, str], None] | None = None,
) -> tuple[Table, ...]:
    """Compare arms where each pays the same: on every clip, the strength of each is sought by real encodes.

    Args:
        plan: Encoders, CRFs, budgets, laws and models; its `region` is set by what `clips` are.
        clips: What to encode.
        executor: Where jobs run, as for `roi_sweep`.
        store: Folder or URL of finished jobs.
        name: First part of the tables' names.
        progress: Hears (arms done, all).
        announce: Hears of every clip that is left out.
        failed: Hears of every clip that fails, as for `roi_sweep`.

    Returns:
        Gains over clips by budget, by clip, and all encodes; the same wherever the jobs ran.

    Raises:
        InputError: An unknown model, encoder or clip, or no clip that can be measured.
        HarnessError: An encoder does not follow a map.

    Example:
        >>> plan = CostPlan(("saliency_student_v3",), frames=24)
        >>> roi_at_cost(plan, Clips(names=("libby", "dog")))[0].rows  # doctest: +SKIP
    """
    maker, ready = executor_maker(executor), _ready(plan, clips, store, announce, failed)
    rows = encode_at_costs(ready.able, ready.plan, maker, Store(store), progress, ready.left_out.hear)
    command = repeat_command(plan, clips, name, failed is not None)
    return cost_tables(rows, ready.plan, name, command=command, **ready.told)


P = TypeVar("P", bound=SweepPlan)


@dataclass(frozen=True)
class _Ready(Generic[P]):
    """A plan whose models and clips are found; `left_out` grows by the clips that fail later, if they may."""

    plan: P
    able: list[ClipPair]
    left_out: LeftOut
    known: Mapping[str, Any]
    digests: Mapping[str, tuple[str, str]]

    @property
    def measured(self) -> list[ClipPair]:
        """The clips that did not fail."""
        return [clip for clip in self.able if clip.name not in self.left_out]

    @property
    def told(self) -> dict[str, Any]:
        """What its tables say of models and clips."""
        data = dict(self.digests[clip.name] for clip in self.measured)
        return {**self.known, "data": data | self.known["data"], "left_out": self.left_out}


def _ready(
    plan: P,
    clips: Clips,
    store: Path | str,
    announce: Callable[[str], None],
    failed: Callable[[str, str], None] | None,
) -> _Ready[P]:
    left_out = LeftOut(failed)
    models = models_of(plan)
    plan = replace(plan, models=tuple(models), region=REFERENCE if clips.videos else MASK)
    if clips.videos:
        assert clips.reference is not None
        judge = find_source(clips.reference)
        where, corpus, working = _where(judge, models), "none", WorkingSize.parse(plan.working)
        regions = _regions(store)
        found = clips_with_regions(clips.videos, judge, working, regions, plan.frames, left_out.hear)
    else:
        where, corpus, found = (
            "inside the human mask alone",
            clips.corpus,
            load_clips(clips.corpus, clips.root, clips.names),
        )
    able, unfit = measurable(found, plan, left_out.hear)
    for clip, reason in unfit.items():
        if clip not in left_out:
            left_out[clip] = reason
            announce(f"{clip} is left out: {reason}")
    if not able:
        raise InputError(f"no clip can be measured ({'; '.join(f'{clip}: {why}' for clip, why in left_out.items())})")
    if clips.videos:
        shas = digests_of([clip.frames for clip in able])
        digests = {clip.name: (f"video {clip.name}", sha256) for clip, sha256 in zip(able, shas, strict=True)}
        data = {f"reference {judge.name}": judge.digest}
    else:
        digests = {clip.name: (f"{corpus}/{clip.name}", clip_digest(clip)) for clip in able}
        data = {}
    known = {
        "where": where,
        "corpus": corpus,
        "models": {source.name: source.digest for source in models},
        "data": data,
        "code": code_of(__name__),
        "remarks": unsteady_note(plan.encoders, Settings(preset=plan.preset)),
    }
    return _Ready(plan, able, left_out, known, digests)


def _regions(store: Path | str) -> Path:
    """Where masks of regions are kept: a folder, wherever jobs are."""
    return (JOBS if is_url(store) else Path(store)) / "regions"


def repeat_command(plan: SweepPlan, clips: Clips, name: str, keep_going: bool = False) -> str:
    """The `harness roi-sweep` that makes the same tables, with everything that decides them."""
    return command_line(
        "roi-sweep",
        {
            "--model": map(asked_as, plan.models),
            "--video": clips.videos,
            "--reference": [clips.reference],
            "--corpus": [] if clips.videos else [clips.corpus],
            "--root": [clips.root],
            "--clip": clips.names,
            "--encoder": plan.encoders,
            "--crf": [f"{crf:.12g}" for crf in plan.crfs],
            "--strength": [f"{strength:.12g}" for strength in plan.strengths],
            "--budget": plan.budgets if isinstance(plan, CostPlan) else [],
            "--law": plan.laws if isinstance(plan, CostPlan) else [],
            "--no-oracle": isinstance(plan, CostPlan) and not plan.oracle,
            "--preset": [plan.preset],
            "--working-size": [plan.working],
            "--frames": [plan.frames],
            "--keep-going": keep_going,
            "--name": [name],
        },
    )


def _where(judge: MapSource, models: Sequence[MapSource]) -> str:
    steers = judge.digest in {CentrePrior().digest, *(source.digest for source in models)}
    flattered = ", which steers too: its arm is flattered" if steers else ""
    return f"where {judge.name} says > {ABOVE}{flattered}"
