"""Measure a random sample of a verdict's rows again: an invented table does not survive that, whatever its digests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from corpora.loader import ClipPair, load_clips, load_manifest, load_pairs
from harness import metrics, stats
from harness.errors import HarnessError, InputError
from harness.files import scratch_folder
from harness.gate.evidence import first_other, read_tables
from harness.gate.groups import accuracy, contract, feature, roi
from harness.gate.looks import by_chance
from harness.gate.pair import read_pair
from harness.gate.verdict import Verdict, read_verdict
from harness.jobs import open_executor
from harness.models.facts import facts_of
from harness.models.model_file import ModelFile
from harness.models.registry import Registry
from harness.models.sources import CENTRE_PRIOR, ModelSource
from harness.models.working_size import WorkingSize
from harness.roi.encoders import find_encoder
from harness.roi.laws import Law
from harness.stats import Statistics
from harness.studies.eval.options import EvalOptions
from harness.studies.eval.run import evaluate_pairs
from harness.studies.roi.arm import FirstFrames, Ladder, Masks, source_of
from harness.studies.roi.costs import GAIN, at_costs
from harness.studies.roi.plan import PLAIN, CostPlan
from harness.studies.score.feature import FeaturePlan, feature_rows
from harness.tables import Table

IMAGES, STREAM = "eval.images", "stream_sha256"
P_NEAR = 2e-3  # rounded rows may turn a few resamples round
NEAR, SMALL = 1e-5, 2e-6  # relative and absolute: rows of single pictures are kept to six digits
# Another kind of processor sums in another order: a pixel lies on the other side of a threshold, an offset a step away.
ROUNDED, ROUNDED_SMALL = 2e-3, 2e-4  # relative and absolute
ROUNDED_KLD = 2e-2  # relative: its logarithm magnifies the last bit of a map near 0
MOST_ROUNDED, SOME_ROUNDED = 0.25, 2  # share of a table's rows, and rows of a small one: all would be no rounding


@dataclass(frozen=True)
class Rechecked:
    """A row that was measured again, or a number that was worked out again from rows.

    `problem` is None if it held; `rounded` says what differed by no more than another kind of processor makes it.
    """

    kind: str
    item: str
    problem: str | None = None
    rounded: str | None = None


def recheck(
    verdict_file: str | Path,
    count: int,
    *,
    root: Path | None = None,
    models: Path | None = None,
    seed: int | None = None,
    announce: Callable[[str], None] = lambda line: None,
) -> list[Rechecked]:
    """Measure `count` random rows of each kind again: pictures, clips of the feature, encodes.

    What was judged is worked out again from the rows beside it too: mean gains with their bounds from single pictures,
    gains at equal cost from single encodes. All facts of the candidate's contract are asked again.

    Args:
        verdict_file: The gate's `verdict.json`, with its `evidence` beside it.
        count: Rows of each kind.
        root: The folder of corpora.
        models: The model folder.
        seed: Draws the rows; None draws others each time, so that nobody can know them beforehand.
        announce: Hears what is being measured.

    Returns:
        What was rechecked, in order.

    Raises:
        InputError: For evidence that is not the verdict's, models or data that are not here, or fewer than one row.
    """
    file = Path(verdict_file)
    if count < 1:
        raise InputError(f"{count} rows to measure again (allowed: 1 or more)")
    verdict, tables = read_verdict(file), read_tables(file.parent / "evidence")
    return recheck_tables(verdict, tables, file, count, root=root, models=models, seed=seed, announce=announce)


def recheck_tables(
    verdict: Verdict,
    tables: Sequence[Table],
    file: Path,
    count: int,
    *,
    root: Path | None = None,
    models: Path | None = None,
    seed: int | None = None,
    announce: Callable[[str], None] = lambda line: None,
) -> list[Rechecked]:
    """`recheck` of what was read already: what was judged is what is measured again, whatever lies there by now.

    Args:
        verdict: What was read from `file`.
        tables: What was read beside it.
        file: Where; generated sets lie beside it.
        count: As in `recheck`, as all that follows.
        root: See there.
        models: See there.
        seed: See there.
        announce: See there.

    Returns:
        As `recheck` does.

    Raises:
        InputError: As `recheck` does.
    """
    if other := first_other(verdict, tables):
        raise InputError(f"{file}: {other.name} beside it is not what it was decided on ({other.kind})")
    registry = Registry.read(models)
    run = _Run(
        tables, _files(tables, registry), registry, np.random.default_rng(seed), count, root, file.parent / "corpora"
    )
    found: list[Rechecked] = []
    for kind, again in (
        (contract.FACTS_TABLE, _facts),
        (IMAGES, _pictures),
        (accuracy.PAIRED, _mean_gains),
        (feature.MEANS, _clips),
        (roi.POINTS, _encodes),
        (roi.GAINS, _gains),
    ):
        for table in tables:
            if table.kind == kind:
                announce(f"{table.name} …")
                found += _few_rounded(list(again(table, run)))
    return found


def _few_rounded(found: list[Rechecked]) -> list[Rechecked]:
    """Rounding meets few rows of a table: where it would have met more, each of them is a problem."""
    count = sum(one.rounded is not None for one in found)
    if count <= max(SOME_ROUNDED, MOST_ROUNDED * len(found)):
        return found
    return [replace(one, problem=one.rounded) if one.rounded else one for one in found]


def _files(tables: Sequence[Table], registry: Registry) -> dict[str, ModelFile]:
    """Both models under the names that tables have for them, with the very weights that were measured."""
    pair = read_pair(tables)
    found = {}
    for one in (pair.incumbent, pair.candidate):
        file = registry.find(one.side.id)
        if file.sha256 != one.side.sha256:
            raise InputError(
                f"{one.side.id} here has sha256 {file.sha256[:12]}…, the verdict's {one.side.sha256[:12]}…"
            )
        found[one.name] = file.renamed(one.name)
    return found


@dataclass(frozen=True)
class _Run:
    """A verdict's tables and models, and where its data lies; `generated` is where the gate put what it made itself."""

    tables: Sequence[Table]
    files: Mapping[str, ModelFile]
    registry: Registry
    rng: np.random.Generator
    count: int
    root: Path | None
    generated: Path

    def drawn(self, items: Sequence[Any]) -> list[Any]:
        """So many of the items, by chance, in their order."""
        places = self.rng.choice(len(items), min(self.count, len(items)), replace=False)
        return [items[place] for place in sorted(places)]

    def root_of(self, corpus: str) -> Path | None:
        """Where a set lies."""
        return self.generated if load_manifest(corpus).generated else self.root

    def clips(self, table: Table) -> list[ClipPair]:
        """The clips of the set that a table is over."""
        corpus = next(iter(table.data)).partition("/")[0]
        return load_clips(corpus, self.root_of(corpus))


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]


def _by(rows: pd.DataFrame, keys: Sequence[str]) -> dict[tuple[str, ...], dict[str, Any]]:
    """Rows by what names them; `InputError` for two of one name."""
    found = {_name(row, keys): row for row in _records(rows)}
    if len(found) < len(rows):
        raise InputError(f"{len(rows) - len(found)} rows stand twice (by {', '.join(keys)}; allowed: once)")
    return found


def _name(row: Mapping[str, Any], keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(row[key]) for key in keys)


def _problem(said: Mapping[str, Any] | None, found: Mapping[str, Any]) -> str | None:
    """The first value that differs; or that there is no such row."""
    if said is None:
        return "is not in the table"
    return next((_differs(key, said[key], value) for key, value in found.items() if not _same(said[key], value)), None)


def _measured(kind: str, item: str, said: Mapping[str, Any] | None, found: Mapping[str, Any]) -> Rechecked:
    """A row that was measured again beside what the table says: the same, a problem, or the same but for rounding."""
    if said is None:
        return Rechecked(kind, item, _problem(said, found))
    other = {key: value for key, value in found.items() if not _same(said[key], value)}
    problem = {key: value for key, value in other.items() if not _nearly(key, said[key], value)}
    told = next((_differs(key, said[key], value) for key, value in (problem or other).items()), None)
    return Rechecked(kind, item, told, None) if problem else Rechecked(kind, item, None, told)


def _same(other: Any, value: Any) -> bool:
    if isinstance(value, float) or isinstance(other, float):
        return bool(np.isclose(float(other), float(value), rtol=NEAR, atol=SMALL, equal_nan=True))
    return str(other) == str(value)


def _nearly(key: str, other: Any, value: Any) -> bool:
    """Whether a value differs by rounding alone; an offset that rounds otherwise gives a stream other bytes."""
    if key == STREAM:
        return True
    near = ROUNDED_KLD if key == "kld" else ROUNDED
    return bool(np.isclose(float(other), float(value), rtol=near, atol=ROUNDED_SMALL, equal_nan=True))


def _differs(key: str, other: Any, value: Any) -> str:
    form = ".9g" if isinstance(value, float) else ""
    return f"{key} is {other:{form}} in the table and {value:{form}} measured again"


def _facts(table: Table, run: _Run) -> Iterator[Rechecked]:
    (name,), settings = table.models, table.settings
    sizes = [(int(height), int(width)) for height, width in settings["sizes"]]
    before = _by(table.rows, ["model", "fact"])
    for fact in facts_of(run.files[name], sizes, settings["seed"], run.registry):
        problem = _problem(before.get((name, fact.name)), {"held": contract.HELD[fact.held]})
        yield Rechecked(table.kind, f"{fact.name} of {name}", problem)


def _pictures(table: Table, run: _Run) -> Iterator[Rechecked]:
    (corpus,) = table.data
    names = set(run.drawn(sorted(table.rows["image"].unique())))
    whole = load_pairs(corpus, run.root_of(corpus))
    if (sample := table.settings.get(accuracy.SAMPLE)) is not None:
        drawn = by_chance([pair.name for pair in whole], sample["seed"])[: sample["images"]]
        other = set(drawn) != set(table.rows["image"])
        told = "are not the first in the order by chance" if other else None
        yield Rechecked(table.kind, f"the {len(drawn)} pictures of {corpus}", told)
    pairs = [pair for pair in whole if pair.name in names]
    if len(pairs) < len(names):
        raise InputError(f"{corpus}: {len(names) - len(pairs)} of its pictures are not here")
    sources = [ModelSource(name, file) for name, file in run.files.items()]
    sizes = tuple(map(WorkingSize.parse, table.rows["working_size"].astype(str).unique()))
    done = evaluate_pairs(sources, {corpus: pairs}, EvalOptions(sizes)).rows
    keys = ["model", "working_size", "image"]
    before = _by(table.rows, keys)
    for row in _records(done):
        numbers = {key: value for key, value in row.items() if isinstance(value, float)}
        item = f"{corpus}/{row['image']} of {row['model']}"
        yield _measured(table.kind, item, before.get(_name(row, keys)), numbers)


def _mean_gains(table: Table, run: _Run) -> Iterator[Rechecked]:
    """Mean paired differences with their bounds from the rows of single pictures, where these have the measure."""
    images = next((other for other in run.tables if other.kind == IMAGES and other.data == table.data), None)
    if images is None:
        raise InputError(f"{table.name}: the rows of its pictures are not beside it")
    old, new = run.files
    how, nulls = Statistics(**table.settings["statistics"]), table.settings["nulls"]
    _by(images.rows, ["model", "working_size", "image"])  # each once
    for row in _records(table.rows):
        column = metrics.metric(row["measure"]).per_image
        if (row["model"], row["against"]) != (new, old) or column is None or column not in images.rows:
            continue
        own = images.rows[images.rows["working_size"].astype(str) == str(row["working_size"])]
        by_model = own.pivot(index="image", columns="model", values=column)
        by_model = by_model.loc[own.loc[own["model"] == new, "image"]]  # resamples go by place
        null = nulls.get(row["measure"], 0.0)
        null *= metrics.metric(row["measure"]).sign if null else 1.0
        found = stats.paired(by_model[old].to_numpy(), by_model[new].to_numpy(), how, null).difference
        again = {"difference": found.value, "low": found.low, "high": found.high}
        problem = _problem(row, again | {"defined": found.count, "images": len(by_model)})
        if problem is None and not np.isclose(row["p_value"], found.p_value, atol=P_NEAR, equal_nan=True):
            problem = f"p_value is {row['p_value']:.4g} in the table and {found.p_value:.4g} measured again"
        yield Rechecked(table.kind, f"{row['measure']} on {row['split']}", problem)


def _clips(table: Table, run: _Run) -> Iterator[Rechecked]:
    chosen = run.drawn(list(table.settings["clips"]))
    clips = [clip for clip in run.clips(table) if clip.name in chosen]
    settings = table.settings
    plan = FeaturePlan(tuple(settings["crfs"]), settings["frames"], settings["every"])
    done = feature_rows(clips, list(run.files.values()), plan, lambda: open_executor("local:1"))
    keys = ["clip", "version", "model"]
    before = _by(table.rows, keys)
    for row in _records(done):
        item = f"{row['clip']}, {row['version']}, {row['model']}"
        yield _measured(table.kind, item, before.get(_name(row, keys)), {"saliency_mean": row["saliency_mean"]})


def _encodes(table: Table, run: _Run) -> Iterator[Rechecked]:
    rows = [row for row in _records(table.rows) if row["arm"] in (*run.files, PLAIN, CENTRE_PRIOR)]
    clips = {clip.name: clip for clip in run.clips(table)}
    preset = table.settings["preset"]
    for row in run.drawn(rows):
        clip = clips[row["clip"]]
        with scratch_folder() as folder:
            scratch = Path(folder)
            frames = FirstFrames(clip.frames, table.settings["frames"], scratch / "reference.y4m")
            truth = Masks.of(clip.masks, frames.info, table.settings["frames"])
            plain, arm = row["arm"] == PLAIN, str(row["arm"])
            file = run.files.get(arm)
            path, sha256 = (str(file.path), file.sha256) if file else (None, None)
            source = None if plain else source_of(arm, truth, path, sha256, None)
            crf = int(row["crf"]) if float(row["crf"]).is_integer() else float(row["crf"])
            ladder = Ladder(
                row["clip"], frames, truth, find_encoder(row["encoder"]), [crf],
                None if preset == roi.AS_USUAL["preset"] else preset, WorkingSize.parse(table.settings["working size"]),
                scratch, Law.parse("map" if plain else row["law"]), complete=False,
            )  # fmt: skip
            (again,) = ladder.encode(arm, source, None if plain else float(row["strength"]))
        said = {key: row[key] for key in (STREAM, "bytes", GAIN, "vmaf", "xpsnr_y")}
        strength = "" if plain else f" at strength {row['strength']:g}"
        item = f"{row['clip']} by {arm}{strength}, crf {crf:g}"
        yield _measured(table.kind, item, said, {key: again[key] for key in said})


def _gains(table: Table, run: _Run) -> Iterator[Rechecked]:
    """Gains at equal cost from the rows of single encodes."""
    points = next(other for other in run.tables if other.kind == roi.POINTS)
    settings, laws = table.settings, table.rows["law"].unique()
    plan = CostPlan(
        tuple(run.files), tuple(table.rows["encoder"].unique()), tuple(settings["crfs"]),
        budgets=tuple(settings["budgets"]), laws=tuple(map(str, laws)),
    )  # fmt: skip
    keys = ["clip", "encoder", "arm", "law", "cost", "budget_%"]
    again = _by(at_costs(points.rows, plan), keys)
    for row in _records(table.rows):
        found = again.get(_name(row, keys))
        problem = _problem(row, {key: float(found[key]) for key in ("gain_%", "strength")}) if found else "no encodes"
        yield Rechecked(table.kind, f"{row['clip']} by {row['arm']} at {row['cost']}={row['budget_%']:g}", problem)


def refuse_differing(found: Sequence[Rechecked], file: Path) -> None:
    """`HarnessError` that names the first of what differs."""
    if differ := [one for one in found if one.problem]:
        first = f"{differ[0].item}: {differ[0].problem}"
        raise HarnessError(f"{file}: {len(differ)} of {len(found)} rows differ when measured again (first: {first})")


def table_of(found: Sequence[Rechecked]) -> pd.DataFrame:
    """A row per kind: how many were rechecked, how many differ, by rounding or by more, and the first that does."""
    rows = []
    for kind in dict.fromkeys(one.kind for one in found):
        own = [one for one in found if one.kind == kind]
        differ = [f"{one.item}: {one.problem}" for one in own if one.problem]
        rounded = [f"{one.item}: {one.rounded}" for one in own if one.rounded and not one.problem]
        first = next(iter(differ + rounded), "")
        rows.append(
            {"kind": kind, "rechecked": len(own), "rounded": len(rounded), "differ": len(differ), "first": first}
        )
    return pd.DataFrame(rows)


def rounding_said(found: Sequence[Rechecked]) -> str:
    """Why rows may be the same but for rounding, as the end of a sentence; empty where none is."""
    count = sum(one.rounded is not None for one in found)
    return f", {count} of them but for rounding, as on another kind of processor" if count else ""
