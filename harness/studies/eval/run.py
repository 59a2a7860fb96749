"""Saliency maps against human masks: every measure on every image of a split, several models side by side."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from corpora.loader import Pair, content_digest
from corpora.manifest import published_count
from harness import metrics
from harness.errors import HarnessError, InputError
from harness.files import whole_file
from harness.jobs.memory import keep_freed_memory
from harness.jobs.pools import process_pool
from harness.jobs.provenance import code_digest, library_versions
from harness.media.pictures import read_mask, read_rgb
from harness.metrics import Sample, Sums, Truth, drift
from harness.models.sources import Mapper, MapSource, find_source
from harness.models.working_size import NATIVE, WorkingSize
from harness.saliency.distort import CLEAN, Distortion, as_extractor_reads
from harness.studies.eval.curves import Curves
from harness.tables import part_of

CHUNK = 25  # images that one worker measures between two reports
WORTH_A_PROCESS = 50  # images: starting one takes as long as measuring some forty
MOST_WORKERS = 16  # unless asked for more: each is a process with its own copy of every model


@dataclass(frozen=True)
class EvalOptions:
    """Everything that changes numbers.

    `minmax` stretches each map to [0, 1] first; mask pixels above `truth_threshold` (0..255) are foreground;
    every model runs at each of `working_sizes`, on the picture and after each of `distortions`. `colour` is `rgb`, the
    decoded picture, or `mobilesal`, what the extractor makes of it. Maps are scaled to the truth's size bilinearly.
    `InputError` for a working size or distortion given twice: rows of a table would share a name.
    """

    working_sizes: tuple[WorkingSize, ...] = (NATIVE,)
    distortions: tuple[Distortion, ...] = ()
    colour: str = "rgb"
    minmax: bool = False
    truth_threshold: int = 128

    def __post_init__(self) -> None:
        refuse_repeats("working size", self.working_sizes)
        refuse_repeats("distortion", (CLEAN, *self.distortions))

    def described(self) -> dict[str, str]:
        """As a table records them."""
        return {
            "distortion": ", ".join(map(str, (CLEAN, *self.distortions))),
            "working size": ", ".join(map(str, self.working_sizes)),
            "map range": "per-image min-max" if self.minmax else "raw",
            "truth": f"mask > {self.truth_threshold}",
            "map to truth size": "bilinear",
            "colour": self.colour,
        }

    def of_one_arm(self) -> dict[str, str]:
        """What is common to all arms: each has its own working size and distortion."""
        return {key: value for key, value in self.described().items() if key not in ("distortion", "working size")}


def refuse_repeats(what: str, values: Sequence[object]) -> None:
    """`InputError` names the first of `values` that is there twice.

    >>> refuse_repeats("split", ["ecssd", "duts-te"])
    """
    for place, value in enumerate(values):
        if value in values[:place]:
            raise InputError(f"{what} {value} is given twice (allowed: each once)")


@dataclass(frozen=True)
class Arm:
    """One row of the result: a source of maps at a working size after a distortion."""

    source: MapSource
    working: WorkingSize
    distortion: Distortion

    @property
    def label(self) -> tuple[str, str, str]:
        """Model, working size and distortion as tables show them; `-` where the size does not matter."""
        return self.source.name, str(self.working) if self.source.sees else "-", str(self.distortion)

    @property
    def folders(self) -> tuple[str, ...]:
        """The label as folder names."""
        return tuple(part.replace(":", "-") for part in self.label)


@dataclass(frozen=True)
class Task:
    """What a worker needs to know once."""

    arms: tuple[Arm, ...]
    options: EvalOptions
    save_maps: Path | None = None


@dataclass(frozen=True)
class Part:
    """What one arm gave on some images: exact sums, and per image the scalars `[n, K]` and curves `[n, ...]`."""

    sums: Sums
    scalars: dict[str, np.ndarray]
    curves: dict[str, np.ndarray]


@dataclass(frozen=True)
class ArmResult:
    """One arm on one split: exact sums, one row per image, and every image's curves, on disk."""

    split: str
    model: str
    working_size: str
    distortion: str
    digest: str
    sums: Sums
    rows: pd.DataFrame
    curves: Curves

    def headline(self) -> dict[str, float]:
        """All numbers of this arm, and how many images left PLCC undefined."""
        found = {key: float(value) for key, value in metrics.headline(self.sums.means()).items()}
        return {**found, "plcc_undefined": float(self.sums.undefined("plcc"))}


@dataclass(frozen=True)
class Evaluation:
    """Results of all arms on all splits; `asked` counts the images that each split's authors published.

    `digests` are over names and content of the evaluated files, by split; `ecssd[:200]` are its first 200 images.
    """

    results: tuple[ArmResult, ...]
    asked: Mapping[str, int]
    digests: Mapping[str, str]
    options: EvalOptions

    @property
    def rows(self) -> pd.DataFrame:
        """One row per split, model, working size, distortion and image."""
        return pd.concat([result.rows for result in self.results], ignore_index=True)

    def table(self) -> pd.DataFrame:
        """One row per arm: images evaluated of images in the split, then every number."""
        return pd.DataFrame(
            [
                {
                    "split": result.split,
                    "model": result.model,
                    "working_size": result.working_size,
                    "distortion": result.distortion,
                    "images": f"{result.sums.images}/{self.asked[result.split]}",
                    **result.headline(),
                }
                for result in self.results
            ]
        )


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
    store: Path | None = None,
    save_maps: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Measure each model on each split, all images unless `limit` says how many first ones.

    `store` keeps finished parts, so that a killed run resumes; `save_maps` receives 8-bit PNG maps at
    `<model>/<working size>/<distortion>/<split>/<image>.png`. With `workers` > 1 so many processes share the images,
    each with one thread; the numbers are the same.
    Raises `InputError` for any pair that cannot be measured: no image is skipped.
    """
    sources = [find_source(model) if isinstance(model, str) else model for model in models]
    _refuse_duplicates([source.name for source in sources])
    task = Task(tuple(_arms(sources, options)), options, save_maps)
    results: list[ArmResult] = []
    chosen = {split: list(pairs)[:limit] for split, pairs in splits.items()}
    total, done = sum(map(len, chosen.values())), 0
    for split, pairs in chosen.items():
        if not pairs:
            raise InputError(f"split {split} holds no images")
        gathered = [_Gathered(len(pairs)) for _ in task.arms]
        for start, parts in _measured(task, split, pairs, workers, _folders(task, split, pairs, store)):
            for into, part in zip(gathered, parts, strict=True):
                into.add(start, part)
            done += parts[0].sums.images
            progress(done, total)
        results += [_result(split, pairs, arm, found) for arm, found in zip(task.arms, gathered, strict=True)]
    asked = {split: published_count(split, len(pairs)) for split, pairs in splits.items()}
    digests = {part_of(split, len(pairs), len(splits[split])): content_digest(pairs) for split, pairs in chosen.items()}
    return Evaluation(tuple(results), asked, digests, options)


def _arms(sources: Sequence[MapSource], options: EvalOptions) -> Iterator[Arm]:
    for source in sources:
        for working in options.working_sizes if source.sees else options.working_sizes[:1]:
            for distortion in (CLEAN, *options.distortions) if source.sees else (CLEAN,):
                yield Arm(source, working, distortion)


def _refuse_duplicates(names: list[str]) -> None:
    if not names:
        raise InputError("nothing to evaluate: give at least one model or folder of maps")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two models are called {twice[0]!r} (rename a file: tables go by its stem)")


def _folders(task: Task, split: str, pairs: list[Pair], store: Path | None) -> list[Path]:
    """Where the finished parts of each arm lie: an arm that is measured already needs no second time beside others."""
    if not store:
        return []
    same = [metrics.VERSION, code_digest(__name__), library_versions(), split, content_digest(pairs)]
    facts = [[*same, str(task.save_maps), arm.label, arm.source.digest, task.options.of_one_arm()] for arm in task.arms]
    return [store / hashlib.sha256(json.dumps(fact).encode()).hexdigest()[:16] for fact in facts]


def _measured(
    task: Task, split: str, pairs: list[Pair], workers: int, folders: list[Path]
) -> Iterator[tuple[int, list[Part]]]:
    """Parts by their first image, as they finish; arms whose part lies in its folder are not measured again."""
    work: list[Work] = []
    for start in range(0, len(pairs), CHUNK):
        parts = [_part_path(folder, start) for folder in folders]
        wanted = [place for place in range(len(task.arms)) if not (parts and parts[place].is_file())]
        if wanted:
            work.append(Work(start, split, pairs[start : start + CHUNK], wanted))
        else:
            yield start, [_read_part(part) for part in parts]
    for item, fresh in _in_processes(task, work, workers) if workers > 1 else _here(task, work):
        found = dict(zip(item.wanted, fresh, strict=True))
        for place, part in found.items():
            if folders:
                _write_part(_part_path(folders[place], item.start), part)
        every = range(len(task.arms))
        yield item.start, [found.get(place) or _read_part(_part_path(folders[place], item.start)) for place in every]


def _part_path(folder: Path, start: int) -> Path:
    return folder / f"{start:06d}.npz"


@dataclass(frozen=True)
class Work:
    """Images of a split from the one at `start` on, and the places of the arms to measure on them."""

    start: int
    split: str
    pairs: list[Pair]
    wanted: list[int]


Mappers = Mapping[MapSource, Mapper]


def _open(task: Task, threads: int) -> Mappers:
    """One mapper for each source, however many arms it has: a session keeps the memory that it needed once."""
    return {source: source.open(threads) for source in dict.fromkeys(arm.source for arm in task.arms)}


def _here(task: Task, work: list[Work]) -> Iterator[tuple[Work, list[Part]]]:
    mappers = _open(task, 0) if work else {}
    for item in work:
        yield item, _parts(task, mappers, item)


def _in_processes(task: Task, work: list[Work], workers: int) -> Iterator[tuple[Work, list[Part]]]:
    with process_pool(workers, _start_worker, task) as pool:
        pending = {pool.submit(_work, item) for item in work}
        try:
            while pending:
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
        except BrokenProcessPool as error:
            raise HarnessError("a worker process died (out of memory?); run again to resume") from error


_task: Task
_mappers: Mappers


def _start_worker(task: Task) -> None:
    global _task, _mappers
    keep_freed_memory()
    _task, _mappers = task, _open(task, 1)


def _work(item: Work) -> tuple[Work, list[Part]]:
    return item, _parts(_task, _mappers, item)


def _parts(task: Task, mappers: Mappers, item: Work) -> list[Part]:
    """One `Part` per wanted arm."""
    arms = [task.arms[place] for place in item.wanted]
    readings: list[list[metrics.Reading]] = [[] for _ in arms]
    for pair in item.pairs:
        rgb, truth = read_pair(pair, task.options.truth_threshold)
        maps = _Maps(mappers, task.options.colour, f"{item.split}/{pair.name}", rgb)
        for arm, into in zip(arms, readings, strict=True):
            saliency = maps.of(arm)
            try:
                sample = Sample.of(saliency, truth, task.options.minmax)
            except InputError as error:
                raise InputError(f"{arm.source.name} on {pair.image}: {error}") from error
            found = metrics.reading(sample)
            if arm.distortion != CLEAN:
                found |= drift.reading(saliency, maps.of(replace(arm, distortion=CLEAN)))
            into.append(found)
            if task.save_maps:
                _save_map(task.save_maps.joinpath(*arm.folders, item.split, f"{pair.name}.png"), saliency)
    return [_part(found) for found in readings]


class _Maps:
    """The maps of one picture, each made once: distorted arms are compared with the clean one."""

    def __init__(self, mappers: Mappers, colour: str, name: str, rgb: np.ndarray) -> None:
        self._mappers, self._colour, self._name, self._rgb = mappers, colour, name, rgb
        self._pictures: dict[Distortion, np.ndarray] = {}
        self._maps: dict[Arm, np.ndarray] = {}

    def of(self, arm: Arm) -> np.ndarray:
        """The map of `arm`, `[H, W]`."""
        if arm not in self._maps:
            if arm.distortion not in self._pictures:
                self._pictures[arm.distortion] = _seen(arm.distortion.of(self._rgb), self._colour)
            self._maps[arm] = self._mappers[arm.source](self._name, self._pictures[arm.distortion], arm.working)
        return self._maps[arm]


def _seen(rgb: np.ndarray, colour: str) -> np.ndarray:
    return as_extractor_reads(rgb) if colour == "mobilesal" else rgb


def read_pair(pair: Pair, truth_threshold: int) -> tuple[np.ndarray, Truth]:
    """Picture uint8 `[H, W, 3]` and truth; `InputError` when unreadable or of different sizes."""
    rgb, mask = read_rgb(pair.image), read_mask(pair.mask, truth_threshold)
    if rgb.shape[:2] != mask.shape:
        image_size, mask_size = ("x".join(map(str, array.shape[1::-1])) for array in (rgb, mask))
        raise InputError(f"{pair.mask}: mask is {mask_size}, its image {image_size} (must be equal)")
    return rgb, Truth(mask)


def _save_map(path: Path, saliency: np.ndarray) -> None:
    levels = saliency if saliency.dtype == np.uint8 else np.rint(saliency * 255).astype(np.uint8)
    with whole_file(path) as temporary:
        Image.fromarray(levels).save(temporary)


def _part(readings: list[metrics.Reading]) -> Part:
    scalars = {
        key: np.array([r[key] for r in readings], np.float64) for key in readings[0] if not _curve(readings, key)
    }
    curves = {key: np.array([r[key] for r in readings], np.float32) for key in readings[0] if _curve(readings, key)}
    return Part(Sums.over(readings), scalars, curves)


def _curve(readings: list[metrics.Reading], key: str) -> bool:
    return np.ndim(readings[0][key]) > 0


def _write_part(path: Path, part: Part) -> None:
    arrays = {"images": np.array(part.sums.images)}
    arrays |= {f"total|{key}": value for key, value in part.sums.totals.items()}
    arrays |= {f"defined|{key}": np.array(value) for key, value in part.sums.defined.items()}
    arrays |= {f"scalar|{key}": value for key, value in part.scalars.items()}
    arrays |= {f"curve|{key}": value for key, value in part.curves.items()}
    with whole_file(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def _read_part(path: Path) -> Part:
    found: dict[str, dict[str, np.ndarray]] = {kind: {} for kind in ("total", "defined", "scalar", "curve")}
    with np.load(path) as arrays:
        images = int(arrays["images"])
        for name in arrays.files:
            kind, bar, key = name.partition("|")
            if bar:
                found[kind][key] = arrays[name]
    defined = {key: int(value) for key, value in found["defined"].items()}
    return Part(Sums(images, found["total"], defined), found["scalar"], found["curve"])


class _Gathered:
    """What the parts of one arm add up to, in whatever order they come; grows by a few numbers per image."""

    def __init__(self, images: int) -> None:
        self._images = images
        self.sums = Sums()
        self.scalars: dict[str, np.ndarray] = {}
        self.curves: Curves

    def add(self, start: int, part: Part) -> None:
        if not self.sums.images:
            self.scalars = {key: np.empty(self._images) for key in part.scalars}
            self.curves = Curves(self._images, {key: values.shape[1:] for key, values in part.curves.items()})
        self.sums += part.sums
        for key, values in part.scalars.items():
            self.scalars[key][start : start + len(values)] = values
        self.curves.write(start, part.curves)


def _result(split: str, pairs: list[Pair], arm: Arm, found: _Gathered) -> ArmResult:
    model, working, distortion = arm.label
    if not found.scalars["object_share"].any():
        raise InputError(f"split {split}: all {len(pairs)} masks are empty at this truth threshold")
    names = {"split": split, "model": model, "working_size": working, "distortion": distortion}
    rows = pd.DataFrame({"image": [pair.name for pair in pairs], **found.scalars})
    for place, (key, value) in enumerate(names.items()):
        rows.insert(place, key, value)
    return ArmResult(split, model, working, distortion, arm.source.digest, found.sums, rows, found.curves)
