"""Saliency maps against human masks: every measure on every image of a split, several models side by side."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from corpora.loader import Pair, content_digest
from corpora.manifest import published_count
from corpora.memo import digests_of
from harness.errors import HarnessError, InputError
from harness.files import scratch_folder
from harness.jobs import Job, Store, executor_maker, run_jobs, stream_jobs
from harness.models.sources import MapFolder, MapSource, ModelSource, find_source
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
    store: Path | str | None = None,
    save_maps: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    failed: Callable[[str, str], None] | None = None,
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
        failed: Hears the name, as `ecssd/0012` or a model's, and the reason of what cannot be measured: such an image
            is left out for all models, such a model for all images [default: the first one ends the run].

    Raises:
        InputError: For any pair that cannot be measured: no image is skipped, unless `failed` hears of it.
        HarnessError: When nothing is left to measure.
    """
    sources = [find_source(model) for model in models]
    _refuse_duplicates([source.name for source in sources])
    chosen = {split: list(pairs)[:limit] for split, pairs in splits.items()}
    if empty := [split for split, pairs in chosen.items() if not pairs]:
        raise InputError(f"split {empty[0]} holds no images")
    threads = 0 if workers == 1 and executor is None else 1
    where = executor or executor_maker("local", workers)
    parts = {split: [pairs[at : at + CHUNK] for at in range(0, len(pairs), CHUNK)] for split, pairs in chosen.items()}
    with scratch_folder() if failed and store is None else nullcontext(store) as place:
        while True:
            measuring = _Measuring(sources, parts, options, threads, save_maps)
            if not (lost := measuring.run(where, Store(place), progress, going_on=failed is not None)):
                break
            for name, reason in lost.items():
                assert failed
                failed(name, reason)
            sources = [source for source in sources if source.name not in lost]
            parts = {split: _without(lost, split, chunks) for split, chunks in parts.items()}
            parts = {split: chunks for split, chunks in parts.items() if chunks}
            if not sources or not parts:
                raise HarnessError(f"nothing is left to measure: {next(iter(lost.values()))}")
    asked = {split: published_count(split, len(pairs)) for split, pairs in splits.items()}
    digests = {}
    for split, pairs in measuring.pairs.items():
        name, left_out = part_of(split, len(chosen[split]), len(splits[split])), len(chosen[split]) - len(pairs)
        digests[f"{name} without {left_out}" if left_out else name] = content_digest(pairs)
    results = tuple(arm.result() for found in measuring.gathered.values() for arm in found)
    return Evaluation(results, asked, digests, options)


def _without(lost: Mapping[str, str], split: str, chunks: Sequence[Sequence[Pair]]) -> list[list[Pair]]:
    """The images that are left, together as they were, so that what is stored of the others is found again."""
    left = [[pair for pair in chunk if f"{split}/{pair.name}" not in lost] for chunk in chunks]
    return [chunk for chunk in left if chunk]


@dataclass(frozen=True)
class _Work:
    """One arm on some images of a split, the first of which is image `start` of those that are measured."""

    split: str
    pairs: Sequence[Pair]
    arm: Arm
    into: Gathered
    start: int


class _Measuring:
    """Every source on the images of `parts`, which are shared out as they lie there; `gathered` adds up, by split."""

    def __init__(
        self, sources: Sequence[MapSource], parts: Mapping[str, Sequence[Sequence[Pair]]], options: EvalOptions,
        threads: int, save_maps: Path | None,
    ) -> None:  # fmt: skip
        arms = arms_of(sources, options)
        self._how = options, threads, save_maps
        self.pairs = {split: [pair for chunk in chunks for pair in chunk] for split, chunks in parts.items()}
        self.gathered = {split: [Gathered(split, pairs, arm) for arm in arms] for split, pairs in self.pairs.items()}
        self._arms, self._work = len(arms), list[_Work]()
        for split, chunks in parts.items():
            for number, chunk in enumerate(chunks):
                start = sum(map(len, chunks[:number]))
                both = zip(arms, self.gathered[split], strict=True)
                self._work += [_Work(split, chunk, arm, into, start) for arm, into in both]

    def run(
        self, where: Callable[[], Executor], store: Store, progress: Callable[[int, int], None], going_on: bool
    ) -> dict[str, str]:
        """Measure; the names of what cannot be measured, and why: empty when all is gathered."""
        wrong: dict[int, HarnessError] = {}
        done, total = 0, sum(map(len, self.pairs.values()))
        jobs = [self._job(work) for work in self._work]
        progress(0, total)
        for place, record in stream_jobs(jobs, where, store, failed=wrong.__setitem__ if going_on else None):
            work = self._work[place]
            work.into.add(work.start, Part.of(record))
            done += record["images"]
            progress(done // self._arms, total)
        if not wrong:
            return {}
        lost = self._lost([self._work[place] for place in wrong], where)
        if not lost:  # none of the images alone
            raise next(iter(wrong.values()))
        return lost

    def _lost(self, wrong: Sequence[_Work], where: Callable[[], Executor]) -> dict[str, str]:
        """Images by `split/image`; a source by its name, if it fails on every image."""
        found: dict[str, str] = {}
        for name in dict.fromkeys(work.arm.source.name for work in wrong):
            own = [work for work in wrong if work.arm.source.name == name]
            never = len(own) == sum(work.arm.source.name == name for work in self._work)
            for work in own[:1] if never else own:
                work = replace(work, pairs=[pair for pair in work.pairs if f"{work.split}/{pair.name}" not in found])
                said = self._one_by_one(work, where)
                found |= {name: next(iter(said.values()))} if never and len(said) == len(work.pairs) > 1 else said
        return found

    def _one_by_one(self, work: _Work, where: Callable[[], Executor]) -> dict[str, str]:
        heard: dict[int, HarnessError] = {}
        jobs = [self._job(replace(work, pairs=[pair])) for pair in work.pairs]
        run_jobs(jobs, where, failed=heard.__setitem__)
        return {f"{work.split}/{work.pairs[place].name}": str(error) for place, error in heard.items()}

    def _job(self, work: _Work) -> Job:
        return _job(work.split, list(work.pairs), work.arm, *self._how)


def _job(split: str, pairs: list[Pair], arm: Arm, options: EvalOptions, threads: int, save_maps: Path | None) -> Job:
    _, working, distortion = arm.label
    source = arm.source
    if isinstance(source, MapFolder):
        source = source.of(f"{split}/{pair.name}" for pair in pairs)
    elif isinstance(source, ModelSource):
        source = replace(source, file=replace(source.file, path=source.path.absolute()))
    arguments = {
        "working": working,
        "distortion": distortion,
        "colour": options.colour,
        "minmax": options.minmax,
        "by_maximum": options.by_maximum,
        "truth_threshold": options.truth_threshold,
        "maps": str(save_maps.resolve().joinpath(*arm.folders, split)) if save_maps else None,
    }
    inputs = {"maps": source.digest, "images": _pictures_digest(pairs)}
    lie = [Pair(pair.name, pair.image.absolute(), pair.mask.absolute()) for pair in pairs]
    aside = {"split": split, "source": source, "pairs": lie, "threads": threads}
    return Job(measure, arguments, inputs, aside, batch=f"{split} {pairs[0].name}")


def _pictures_digest(pairs: Sequence[Pair]) -> str:
    """SHA-256 over the names and the content of pairs, whatever their folders are called."""
    shas = digests_of([path for pair in pairs for path in (pair.image, pair.mask)])
    lines = (f"{pair.name} {image} {mask}\n" for pair, image, mask in zip(pairs, shas[::2], shas[1::2], strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _refuse_duplicates(names: list[str]) -> None:
    if not names:
        raise InputError("nothing to evaluate: give at least one model or folder of maps")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two models are called {twice[0]!r} (rename a file: tables go by its stem)")
