"""Saliency maps against human masks: every measure on every image of a split, several models side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

from corpora.loader import Pair, content_digest
from corpora.manifest import published_count
from harness.errors import InputError
from harness.jobs import Job, Store, open_executor, stream_jobs
from harness.models.sources import MapFolder, MapSource, find_source
from harness.studies.eval.options import Arm, EvalOptions, arms_of
from harness.studies.eval.part import Part, measure
from harness.studies.eval.result import Evaluation, Gathered
from harness.tables import part_of

CHUNK = 25  # images that one worker measures between two reports
WORTH_A_PROCESS = 50  # images: starting one takes as long as measuring some forty
MOST_WORKERS = 16  # unless asked for more: each is a process with its own copy of every model


def usual_workers(images: int) -> int:
    """Processes for a split of so many images: one for each core at hand that has enough to do.

    >>> usual_workers(99)
    1
    """
    return max(1, min(len(os.sched_getaffinity(0)), images // WORTH_A_PROCESS, MOST_WORKERS))


def evaluate_pairs(
    models: Sequence[MapSource | str],
    splits: Mapping[str, Sequence[Pair]],
    options: EvalOptions = EvalOptions(),
    *,
    limit: int | None = None,
    workers: int = 1,
    executor: Callable[[], Executor] | None = None,
    store: Path | None = None,
    save_maps: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Measure each model on each split: the same numbers to the last bit, wherever and in whatever order.

    Args:
        models: Sources of maps, or what `find_source` takes.
        splits: Image pairs by the name of their set.
        options: Everything that changes numbers.
        limit: Only so many first images of each split.
        workers: Processes that share the images, each with one thread; one is this process, with all threads.
        executor: Makes where jobs run in place of `workers`; they read the same files under the same paths.
        store: Keeps finished parts, so that a killed run resumes.
        save_maps: Receives 8-bit PNG maps at `<model>/<working size>/<distortion>/<split>/<image>.png`.
        progress: Hears (done, all) in images.

    Raises:
        InputError: For any pair that cannot be measured: no image is skipped.
    """
    sources = [find_source(model) for model in models]
    _refuse_duplicates([source.name for source in sources])
    arms = arms_of(sources, options)
    chosen = {split: list(pairs)[:limit] for split, pairs in splits.items()}
    if empty := [split for split, pairs in chosen.items() if not pairs]:
        raise InputError(f"split {empty[0]} holds no images")
    gathered = {split: [Gathered(split, pairs, arm) for arm in arms] for split, pairs in chosen.items()}
    threads = 0 if workers == 1 and executor is None else 1
    work = [
        (gathered[split][place], start, _job(split, pairs[start : start + CHUNK], arm, options, threads, save_maps))
        for split, pairs in chosen.items()
        for start in range(0, len(pairs), CHUNK)
        for place, arm in enumerate(arms)
    ]
    done, total = 0, sum(map(len, chosen.values()))
    jobs, where = [job for _, _, job in work], executor or (lambda: open_executor("local", workers))
    progress(0, total)
    for place, record in stream_jobs(jobs, where, Store(store)):
        into, start, _ = work[place]
        into.add(start, Part.of(record))
        done += record["images"]
        progress(done // len(arms), total)
    results = tuple(arm.result() for found in gathered.values() for arm in found)
    asked = {split: published_count(split, len(pairs)) for split, pairs in splits.items()}
    digests = {part_of(split, len(pairs), len(splits[split])): content_digest(pairs) for split, pairs in chosen.items()}
    return Evaluation(results, asked, digests, options)


def _job(split: str, pairs: list[Pair], arm: Arm, options: EvalOptions, threads: int, save_maps: Path | None) -> Job:
    _, working, distortion = arm.label
    source = arm.source
    if isinstance(source, MapFolder):
        source = source.of(f"{split}/{pair.name}" for pair in pairs)
    arguments = {
        "split": split,
        "working": working,
        "distortion": distortion,
        "colour": options.colour,
        "minmax": options.minmax,
        "by_maximum": options.by_maximum,
        "truth_threshold": options.truth_threshold,
        "maps": str(save_maps.joinpath(*arm.folders, split)) if save_maps else None,
    }
    inputs = {"maps": source.digest, "images": content_digest(pairs)}
    aside = {"source": source, "pairs": pairs, "threads": threads}
    return Job(measure, arguments, inputs, aside, batch=f"{split} {pairs[0].name}")


def _refuse_duplicates(names: list[str]) -> None:
    if not names:
        raise InputError("nothing to evaluate: give at least one model or folder of maps")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two models are called {twice[0]!r} (rename a file: tables go by its stem)")
