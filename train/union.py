"""Several corpora in one run: the first gives the validation fold, the others add pairs that are in no test set."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpora.duplicates import duplicates
from corpora.loader import Pair, corpus_at_hand, load_manifest, load_pairs, manifest_names
from corpora.manifest import Manifest
from harness.errors import InputError
from train.data import validation_split
from train.distil import Lesson, load_teacher, pictures_without_masks

TEST_SETS = tuple(m.name for m in map(load_manifest, manifest_names()) if m.role == "test" and not m.generated)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingSet:
    """`pairs` of the first corpus, `more` of the others, and what was left out: `{corpus: pairs rejected}`.

    `unchecked` names test sets that were not at hand, so that duplicates of them may be among `more`; `roots` are the
    folders that were given, where test sets are looked for too.
    """

    corpora: tuple[str, ...]
    pairs: list[Pair]
    more: list[Pair] = field(default_factory=list)
    rejected: dict[str, int] = field(default_factory=dict)
    unchecked: tuple[str, ...] = ()
    roots: tuple[Path, ...] = ()

    @property
    def origin(self) -> dict[str, Any]:
        """What a run folder keeps of this."""
        return {"corpora": self.corpora, "rejected": self.rejected, "unchecked": self.unchecked}


def training_set(
    names: Sequence[str],
    roots: Sequence[Path] = (),
    val_fraction: float = 0.05,
    val_seed: int = 42,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TrainingSet:
    """Load the corpora; pairs of the second and later ones that look like a tested picture are rejected.

    `roots` holds nothing, one folder for all, or one per corpus. Raises `InputError` for a test set among `names`.
    """
    if len(roots) not in (0, 1, len(names)):
        raise InputError(f"{len(roots)} roots for {len(names)} corpora (allowed: none, one for all, or one each)")
    if len(set(names)) < len(names):
        raise InputError(f"a corpus is named twice in {', '.join(names)}")
    if tested := [name for name in names if name in TEST_SETS]:
        raise InputError(f"{tested[0]} is a test set and is never trained on")
    root_of = dict(zip(names, roots if len(roots) == len(names) else list(roots) * len(names), strict=False))
    loaded = {name: load_pairs(name, root_of.get(name)) for name in names}
    pairs = loaded.pop(names[0])
    if not loaded:
        return TrainingSet(tuple(names), pairs, roots=tuple(roots))
    kept_out, unchecked = _kept_out(pairs, val_fraction, val_seed, roots)
    everything = [pair for others in loaded.values() for pair in others]
    seen = {pair.image for pair in duplicates(everything, kept_out, progress)}
    rejected = {name: sum(pair.image in seen for pair in others) for name, others in loaded.items()}
    more = [pair for pair in everything if pair.image not in seen]
    return TrainingSet(tuple(names), pairs, more, rejected, tuple(unchecked), tuple(roots))


def lesson_of(
    teacher: Path | None,
    weight: float,
    folders: Sequence[Path],
    data: TrainingSet,
    val_fraction: float = 0.05,
    val_seed: int = 42,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Lesson | None:
    """What `teacher` (a run folder) adds, with the pictures in `folders` that look like no tested one; None without it.

    The log says which test sets were not at hand for that, unless `data` was checked without them already.
    Raises `InputError` for a run without weights, a weight outside of 0 to 1, a weight without a teacher, or a folder
    without pictures.
    """
    if teacher is None:
        if weight != Lesson.weight:
            raise InputError(
                f"teacher weight is {weight:g}, and there is no teacher (allowed: a weight with --teacher)"
            )
        return None
    load_teacher(teacher)  # says what is wrong before anything is decoded
    kept_out, unchecked = _kept_out(data.pairs, val_fraction, val_seed, data.roots) if folders else ([], [])
    for name in unchecked:
        if name not in data.unchecked:
            log.warning(
                "harness: %s is not at hand, so no pictures without masks were rejected as its duplicates", name
            )
    pictures, rejected = pictures_without_masks(folders, kept_out, progress)
    return Lesson(teacher, weight, tuple(pictures), rejected, tuple(unchecked))


def _kept_out(
    pairs: list[Pair], val_fraction: float, val_seed: int, roots: Sequence[Path]
) -> tuple[list[Pair], list[str]]:
    """The fold and the test sets at hand, whose likes are never trained on; and the test sets that are not at hand."""
    _, held = validation_split(len(pairs), val_fraction, val_seed)
    kept_out, unchecked = [pairs[index] for index in held], []
    for name in TEST_SETS:
        if (place := _place_of(load_manifest(name), roots)) is not None:
            kept_out += load_pairs(name, place)
        else:
            unchecked.append(name)
    return kept_out, unchecked


def _place_of(manifest: Manifest, roots: Sequence[Path]) -> Path | None:
    """Where a test set lies: below one of `roots`, or where sets are looked for without any.

    A root itself is never it: several sets have the layout images + masks, and that folder was given for another.
    """
    below = [corpus for root in roots if (corpus := corpus_at_hand(manifest, root)) and corpus.folder != Path(root)]
    found = below[0] if below else corpus_at_hand(manifest)
    return found.folder if found else None
