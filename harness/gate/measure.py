"""Which study makes a table of which kind, and what it is given: the one place where the gate and studies meet."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd

from corpora.loader import clip_digest, content_digest, load_manifest
from harness.errors import HarnessError, InputError
from harness.gate.context import Context
from harness.gate.data import chosen_clips, chosen_pairs, clips_of, doubts, pairs_of
from harness.gate.evidence import doubts_table, drop_others, keep_tables, missing_table, tables_in
from harness.gate.groups import find_group
from harness.gate.groups.accuracy import SAMPLE
from harness.gate.groups.base import Tables, Wanted
from harness.gate.groups.contract import HELD
from harness.gate.pair import pair_table
from harness.jobs import Store, executor_maker
from harness.jobs.provenance import code_of
from harness.models.facts import facts_of
from harness.models.sources import ModelSource
from harness.models.working_size import WorkingSize
from harness.stats import USUAL
from harness.studies import cost
from harness.studies.eval.compare import with_intervals
from harness.studies.eval.losers import SHOWN, losers, pr_curves, strips
from harness.studies.eval.options import EvalOptions
from harness.studies.eval.report import report_tables
from harness.studies.eval.run import evaluate_pairs
from harness.studies.roi.plan import CostPlan
from harness.studies.roi.run import Clips, roi_at_cost
from harness.studies.score.feature import FeaturePlan, feature_rows, native_parity
from harness.tables import Table

Digests = Mapping[str, str]


@dataclass(frozen=True)
class Measurer:
    """How tables of a kind come about.

    Args:
        module: The study whose code decides the numbers.
        measure: Gives tables, the wanted one among them.
        data: The digests of what it reads now, as the table says them.
        kept: Whether a table from the same data by the same code may stand for a new one: not where something has a say
            that no table records, such as a program that was installed since.
    """

    module: str
    measure: Callable[[Context, Wanted], Iterator[Table]]
    data: Callable[[Context, Wanted], Digests] = lambda context, wanted: {}
    kept: bool = True

    def stands(self, table: Table, context: Context, wanted: Wanted) -> bool:
        """Whether `table` is what measuring again would give."""
        now = code_of(self.module)
        made = table.code.digest, dict(table.code.versions), dict(table.data)
        return self.kept and made == (now.digest, dict(now.versions), dict(self.data(context, wanted)))


def _facts(context: Context, wanted: Wanted) -> Iterator[Table]:
    file, sizes, seed = context.files[1], wanted.settings["sizes"], wanted.settings["seed"]
    rows = [
        {"model": file.name, "fact": fact.name, "held": HELD[fact.held], "note": fact.note}
        for fact in facts_of(file, sizes, seed, context.registry)
    ]
    yield _table(context, wanted, "contract", "What the candidate's file keeps of its contract", pd.DataFrame(rows))


def _paired(context: Context, wanted: Wanted) -> Iterator[Table]:
    corpus, pairs = wanted.data, chosen_pairs(context, wanted.data)
    working = WorkingSize.parse(str(wanted.rows["working_size"]))
    sources = [ModelSource(file.name, file) for file in context.files]
    done = evaluate_pairs(
        sources,
        {corpus: pairs},
        EvalOptions((working,)),
        workers=context.workers,
        executor=executor_maker(context.executor) if context.executor else None,
        store=context.out / "jobs" / "eval",
        progress=_told(context, f"images of {corpus}"),
    )
    how, nulls = context.question.policy.statistics, wanted.settings["nulls"]
    numbers, paired = with_intervals(done, how, nulls)
    usual = how == USUAL and not nulls and context.look is None
    command = _eval_command(context, wanted) if usual else context.command
    sample = {SAMPLE: wanted.settings[SAMPLE]} if SAMPLE in wanted.settings else {}
    for table in report_tables(done, numbers, paired, command, how=how, nulls=nulls, stated=sample):
        yield replace(table, name=f"{corpus}-{table.name}", data=_pairs_data(context, wanted))
    first, second = done.results
    yield _table(context, wanted, f"{corpus}-pr", f"Precision and recall on {corpus}", pr_curves(done), "eval.pr")
    worst = losers(first, second)
    title = f"Where the candidate falls furthest behind on {corpus}"
    yield _table(context, wanted, f"{corpus}-worst", title, worst, "eval.worst")
    by_name = {pair.name: pair for pair in pairs}
    shown = strips([by_name[name] for name in worst["image"]], sources, working, context.evidence, corpus)
    yield _table(context, wanted, f"{corpus}-pictures", f"Pictures of {corpus}", shown, SHOWN)


def _eval_command(context: Context, wanted: Wanted) -> str:
    words = ["harness", "eval", "--corpus", wanted.data, *_models(context.asked)]
    words += ["--working-size", str(wanted.rows["working_size"])]
    words += _root(context, wanted.data)
    return shlex.join([*words, "--out", str(context.out / "repeat" / wanted.data)])


def _root(context: Context, corpus: str) -> list[str]:
    """`--root FOLDER` of a corpus: where generated ones were put, else as it was given, if it was."""
    root = context.corpora if load_manifest(corpus).generated else context.root
    return [] if root is None else ["--root", str(root)]


def _feature(context: Context, wanted: Wanted) -> Iterator[Table]:
    rows = feature_rows(
        chosen_clips(context),
        context.files,
        _feature_plan(wanted, every=wanted.settings["every"]),
        executor_maker(_executor(context)),
        Store(context.out / "jobs" / "feature"),
        _told(context, "clips encoded and read"),
    )
    yield _table(context, wanted, "feature", "saliency_mean of clips and their encodes", rows)


def _native(context: Context, wanted: Wanted) -> Iterator[Table]:
    plan, (name,) = _feature_plan(wanted), wanted.settings["clips"]
    clip = next(clip for clip in clips_of(context) if clip.name == name)
    found = native_parity(clip, context.files[1], context.incumbent.file, plan)
    table = _table(context, wanted, "native", "A native extractor beside the embedded one", found.rows)
    yield replace(table, settings={**table.settings, "native": found.native, "reason": found.reason})


def _feature_plan(wanted: Wanted, **more: Any) -> FeaturePlan:
    return FeaturePlan(tuple(wanted.settings["crfs"]), wanted.settings["frames"], **more)


def _roi(context: Context, wanted: Wanted) -> Iterator[Table]:
    clips_of(context)  # generates them, or says which one is absent or short
    rows, generated = wanted.rows, load_manifest(wanted.data).generated
    plan = CostPlan(
        tuple(ModelSource(file.name, file) for file in (context.candidate.file, context.incumbent.file)),
        (rows["encoder"],),
        tuple(map(float, wanted.settings["crfs"])),
        working=wanted.settings["working size"],
        frames=wanted.settings["frames"],
        budgets=rows["budgets"],
        laws=(rows["law"],),
        oracle=False,
    )
    tables = roi_at_cost(
        plan,
        Clips(wanted.data, context.corpora if generated else context.root, rows["clip"]),
        executor=_executor(context),
        store=context.out / "jobs" / "roi",
        name="roi",
        progress=_told(context, "arms encoded and measured"),
        announce=context.announce,
    )
    for table in tables:
        yield replace(table, command=f"{table.command} {shlex.join(['--out', str(context.out / 'repeat' / 'roi')])}")


def _executor(context: Context) -> str:
    return context.executor or f"local:{context.workers}"


def _times(context: Context, wanted: Wanted) -> Iterator[Table]:
    rows = cost.times(context.files, wanted.settings["sizes"], wanted.settings["rounds"])
    yield _table(context, wanted, "times", "Seconds a frame, taken in turns on one thread", rows)
    yield _table(context, wanted, "medians", "Time a frame on one thread", cost.medians(rows), "cost.medians")


def _memory(context: Context, wanted: Wanted) -> Iterator[Table]:
    rows = cost.memory(context.files, wanted.settings["size"])
    yield _table(context, wanted, "memory", "Peak memory of a process that runs one frame", rows)


def _pairs_data(context: Context, wanted: Wanted) -> Digests:
    return {wanted.data: content_digest(pairs_of(context, wanted.data))}


def _clips_data(context: Context, wanted: Wanted) -> Digests:
    chosen = wanted.settings.get("clips") or wanted.rows["clip"]
    return {f"{wanted.data}/{clip.name}": clip_digest(clip) for clip in clips_of(context) if clip.name in chosen}


MEASURERS: Mapping[str, Measurer] = {
    "models.facts": Measurer("harness.models.facts", _facts, kept=False),  # the registry may have changed
    "eval.paired": Measurer("harness.studies.eval.compare", _paired, _pairs_data),
    "score.feature": Measurer("harness.studies.score.feature", _feature, _clips_data),
    "score.native": Measurer("harness.studies.score.feature", _native, _clips_data, kept=False),
    "roi.at_cost_points": Measurer("harness.studies.roi.run", _roi, _clips_data),
    "roi.at_cost_by_clip": Measurer("harness.studies.roi.run", _roi, _clips_data),
    "cost.times": Measurer("harness.studies.cost", _times),
    "cost.memory": Measurer("harness.studies.cost", _memory),
}


def _table(
    context: Context, wanted: Wanted, name: str, title: str, rows: pd.DataFrame, kind: str | None = None
) -> Table:
    """A table of what is wanted, or of another kind that comes with it."""
    measurer, weights = MEASURERS[wanted.kind], context.pair.weights
    return Table(
        kind or wanted.kind,
        name,
        title,
        rows,
        context.command,
        {model: weights[model] for model in wanted.models},
        measurer.data(context, wanted),
        code_of(measurer.module),
        wanted.settings,
    )


def gather(context: Context) -> list[Table]:
    """Every table that the policy's groups want: measured, or taken up where it still stands in the folder of evidence.

    What cannot be measured is told in a table of its own; whatever else lies in that folder is removed.

    Raises:
        InputError: For evidence that was changed after it was written.
    """
    before = tables_in(context.evidence)
    found: list[Table] = []
    reasons: list[tuple[Wanted, str]] = []
    for name in context.policy.groups:
        context.announce(f"{name} …")
        for wanted in find_group(name).wanted(context.question):
            if not _found(found, wanted, context):
                try:
                    found += _standing(before, wanted, context) or _measured(wanted, context)
                except HarnessError as error:
                    reasons.append((wanted, str(error)))
    told = [missing_table(reasons, context.command)] if reasons else []
    odd = doubts(context)
    told += [doubts_table(odd, context.command)] if odd else []
    found += keep_tables([pair_table(context.pair, context.command), *told], context.evidence)
    drop_others(context.evidence, found)
    return found


def _found(tables: Sequence[Table], wanted: Wanted, context: Context) -> Table | None:
    try:
        return Tables(tables, context.pair.weights).find(wanted)
    except InputError:
        return None


def _standing(before: Sequence[Table], wanted: Wanted, context: Context) -> list[Table]:
    """The wanted table and what came with it, where measuring again would give the same; else nothing."""
    table = _found(before, wanted, context)
    if table is None or not MEASURERS[wanted.kind].stands(table, context, wanted):
        return []
    study = table.kind.partition(".")[0]
    others = [other for other in before if other.kind.partition(".")[0] == study and other.kind not in MEASURERS]
    return [table, *(other for other in others if (other.models, other.data) == (table.models, table.data))]


def _measured(wanted: Wanted, context: Context) -> list[Table]:
    return keep_tables(MEASURERS[wanted.kind].measure(context, wanted), context.evidence)


def _told(context: Context, what: str) -> Callable[[int, int], None]:
    """Report the work, or announce every tenth of it where nobody listens."""
    if context.progress:
        return partial(context.progress, what)
    told = 0

    def progress(done: int, total: int) -> None:
        nonlocal told
        if total and done * 10 // total > told:
            told = done * 10 // total
            context.announce(f"{done} of {total} {what}")

    return progress


def _models(asked: Sequence[str]) -> list[str]:
    return [word for name in asked for word in ("--model", name)]
