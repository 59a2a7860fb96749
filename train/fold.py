"""Which pairs were held out: a validation IoU says something only on a fold that the model was not trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from corpora.loader import Pair, listing_digest
from corpora.manifest import Manifest, load_manifest
from harness.errors import InputError
from harness.files import read_json
from harness.models.session import SaliencyModel
from harness.models.sidecar import check_training, read_training
from train.data import validation_split

RUN_EXPORT = "export.json"  # what an unpublished run has for a sidecar


def fold_digest(pairs: Sequence[Pair], fraction: float = 0.05, seed: int = 42) -> str:
    """SHA-256 over the names that are held out, sorted: the same for every size and copy of the pictures."""
    _, held = validation_split(len(pairs), fraction, seed)
    return hashlib.sha256("".join(sorted(f"{pairs[index].name}\n" for index in held)).encode()).hexdigest()


def refuse_trained_on(models: Sequence[SaliencyModel], corpus: str, pairs: Sequence[Pair]) -> None:
    """`InputError` when a model was, or may have been, trained on pairs of the fold that is held out of `pairs`.

    A file more or less shifts the whole fold. What a model's sidecar says is held against what is here: of its run, of
    those that it began with, and of those that were averaged in. A model without one is taken to be trained on the
    whole published set, if on any of it.
    """
    manifest = load_manifest(corpus)
    if manifest.generated:
        return
    fold, listing = fold_digest(pairs), listing_digest(list(pairs))
    for model in models:
        for stage in _stages(training_of(model.facts.path), manifest):
            known = stage.get("fold_sha256")
            same = known == fold if known else _same_set(stage, manifest, listing, len(pairs))
            if not same:
                trained = f"{stage['pairs']:,} pairs" if stage.get("pairs") else "all pairs"
                raise InputError(
                    f"{model.name} was trained on another fold of {manifest.title} ({trained}; here are {len(pairs):,})"
                    f" and has seen much of this one (allowed: that very set; see: harness corpora verify {corpus})"
                )


def training_of(model: Path) -> Mapping[str, Any]:
    """What is known of a file's training, from the sidecar beside it or from its run; empty where there is neither."""
    sidecar, run = model.with_suffix(".json"), model.parent / RUN_EXPORT
    if sidecar.exists():
        place, training = sidecar, read_training(sidecar)
    else:
        place, training = run, read_json(run) if run.exists() else {}
        check_training(training, str(place))
    for part in training.get("averaged_with") or ():
        check_training({"started_from": part}, str(place))  # a part is a run as well
    return training


def _stages(training: Mapping[str, Any], manifest: Manifest) -> Iterator[Mapping[str, Any]]:
    """The runs behind a model, its own first, that this corpus was in, or may have been where they do not say."""
    if not training:
        yield {}
        return
    if manifest.title in str(training.get("dataset", "")).split(", "):
        yield {
            "pairs": training.get("dataset_pairs"),
            "listing_sha256": training.get("dataset_listing_sha256"),
            "fold_sha256": training.get("fold_sha256"),
        }
    for stage in (training.get("started_from"), *(training.get("averaged_with") or ())):
        while stage:
            corpora = stage.get("corpora")
            if not isinstance(corpora, list) or manifest.name in corpora:
                yield stage
            stage = stage.get("started_from")


def _same_set(stage: Mapping[str, Any], manifest: Manifest, listing: str, count: int) -> bool:
    """For runs that did not note their fold: the very files, or the whole set on both sides, in whatever size."""
    return stage.get("listing_sha256") == listing or (stage.get("pairs") or manifest.count) == count == manifest.count
