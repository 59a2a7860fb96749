"""Is the candidate's map closer to human masks than the incumbent's, on the same images?"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from PIL import Image

from corpora.loader import Pair, content_digest, load_manifest
from harness import metrics
from harness.errors import InputError
from harness.files import sha256_of, whole_file
from harness.gate.context import Context
from harness.gate.data import pairs_of
from harness.gate.evidence import Evidence
from harness.gate.intervals import measured
from harness.gate.policy import Policy
from harness.gate.rules import OBJECT_SIZES
from harness.gate.verdict import Measurement
from harness.media.pictures import read_grey, read_rgb
from harness.models.sources import ModelSource
from harness.models.working_size import WorkingSize
from harness.stats import FEWEST, Estimate
from harness.studies.eval import compare
from harness.studies.eval.run import ArmResult, EvalOptions, evaluate_pairs

GROUP = "accuracy"
WORST, SHEET_HEIGHT = 6, 160


def inputs(context: Context) -> dict[str, str]:
    """A digest over the content of every image set of the profile."""
    return {corpus: content_digest(pairs_of(context, corpus)) for corpus in context.profile.accuracy}


def gather(context: Context) -> Evidence:
    """Paired gains on every corpus that is there; what is absent is missing for its own rules only."""
    found: list[Measurement] = []
    missing: dict[str, str] = {}
    digests: dict[str, str] = {}
    tables: dict[str, list[dict]] = {"accuracy": []}
    pictures: dict[str, str] = {}
    for corpus in context.profile.accuracy:
        try:
            pairs = pairs_of(context, corpus)
        except InputError as error:
            missing |= {_key(corpus, measure): str(error) for measure in measures_of(context)}
            continue
        digests[corpus] = content_digest(pairs)
        first, second = _evaluated(context, corpus, pairs)
        for measure, gain in gains(first, second, measures_of(context), context.policy).items():
            if gain.count < FEWEST:
                missing[_key(corpus, measure)] = f"defined for both on too few of the {len(pairs)} images"
            else:
                found.append(measured(_key(corpus, measure), gain))
        tables["accuracy"] += [_summary(context, result) for result in (first, second)]
        tables[f"pr {corpus}"] = [row for result in (first, second) for row in _pr_curve(result)]
        rows = _side_by_side(first, second)
        digests[f"{corpus} rows"] = _keep_rows(context, corpus, rows)
        worst = rows[rows["iou@0.5 gain"] < 0].nsmallest(WORST, "iou@0.5 gain")
        tables[f"worst {corpus}"] = worst.to_dict(orient="records")
        pictures |= dict(_sheets(context, corpus, pairs, list(worst["image"])))
    return Evidence(GROUP, tuple(found), missing, digests, tables, pictures)


def commands(context: Context) -> tuple[str, ...]:
    """One `harness eval` per corpus, whose paired differences are the gains; none for models of one name."""
    if context.incumbent.file.name == context.candidate.file.name:
        return ()
    models = [word for side in context.pair for word in ("--model", side.asked)]
    lines = []
    for corpus in context.profile.accuracy:
        words = ["harness", "eval", "--corpus", corpus, *models, "--working-size", context.policy.accuracy.working_size]
        words += context.root_option(load_manifest(corpus).generated)
        lines.append(shlex.join([*words, "--out", str(context.out / "repeat" / corpus)]))
    return tuple(lines)


def measures_of(context: Context) -> list[str]:
    """Headline keys that the policy has rules for."""
    accuracy = context.policy.accuracy
    by_size = [accuracy.size_measure.replace("{size}", size) for size in OBJECT_SIZES]
    return [accuracy.primary, *accuracy.allowances, *by_size]


def gains(first: ArmResult, second: ArmResult, wanted: list[str], policy: Policy) -> dict[str, Estimate]:
    """How much better `second` is than `first` in headline numbers, over the images where both have one."""
    how, accuracy = policy.statistics, policy.accuracy
    found = compare.paired(
        compare.drawn(first, how), compare.drawn(second, how), how, {accuracy.primary: accuracy.primary_margin}
    )
    return {key: _as_gain(key, found[key].difference) for key in wanted}


def _as_gain(key: str, found: Estimate) -> Estimate:
    if metrics.metric(key).sign > 0:
        return found
    return replace(found, value=-found.value, low=-found.high, high=-found.low, null=-found.null)


def _evaluated(context: Context, corpus: str, pairs: list[Pair]) -> tuple[ArmResult, ArmResult]:
    told = -1

    def progress(done: int, total: int) -> None:
        nonlocal told
        if done * 4 // total > told:
            told = done * 4 // total
            context.announce(f"accuracy: {done} of {total} images of {corpus}")

    # file names may be equal (two folders' `best.onnx`), arms may not
    names = ("incumbent", "candidate")
    sources = [ModelSource(name, side.file) for name, side in zip(names, context.pair, strict=True)]
    options = EvalOptions((WorkingSize.parse(context.policy.accuracy.working_size),))
    store = context.out / "jobs" / "eval"
    done = evaluate_pairs(sources, {corpus: pairs}, options, workers=context.workers, store=store, progress=progress)
    return done.results[0], done.results[1]


def _key(corpus: str, measure: str) -> str:
    return f"accuracy.{corpus}.{measure}.gain"


def _name(context: Context, result: ArmResult) -> str:
    return (context.incumbent if result.model == "incumbent" else context.candidate).file.name


def _summary(context: Context, result: ArmResult) -> dict:
    numbers = result.headline()
    kept = {measure: numbers[measure] for measure in measures_of(context) if np.isfinite(numbers[measure])}
    return {"corpus": result.split, "model": _name(context, result), "images": result.sums.images, **kept}


def _pr_curve(result: ArmResult) -> list[dict]:
    """Precision and recall averaged over images, at every fourth threshold."""
    means = result.sums.means()
    points = zip(means["recall_curve"][::4], means["precision_curve"][::4], strict=True)
    return [{"arm": result.model, "recall": float(recall), "precision": float(p)} for recall, p in points]


def _side_by_side(first: ArmResult, second: ArmResult) -> pd.DataFrame:
    rows = pd.DataFrame({"image": first.rows["image"], "object share": first.rows["object_share"]})
    for measure in ("iou@0.5", "mae"):
        rows[f"incumbent {measure}"], rows[f"candidate {measure}"] = first.rows[measure], second.rows[measure]
    rows["iou@0.5 gain"] = rows["candidate iou@0.5"] - rows["incumbent iou@0.5"]
    return rows


def _keep_rows(context: Context, corpus: str, rows: pd.DataFrame) -> str:
    """Write the per-image rows beside the evidence; their digest goes into the verdict."""
    path = context.out / "evidence" / f"{corpus}-rows.csv"
    with whole_file(path) as temporary:
        rows.to_csv(temporary, index=False, float_format="%.10g")
    return sha256_of(path)


def _sheets(context: Context, corpus: str, pairs: list[Pair], names: list[str]) -> Iterator[tuple[str, str]]:
    """One strip per image: picture, mask, incumbent's map, candidate's map."""
    models = [side.load() for side in context.pair]
    working = WorkingSize.parse(context.policy.accuracy.working_size)
    by_name = {pair.name: pair for pair in pairs}
    for name in names:
        rgb, mask = read_rgb(by_name[name].image), read_grey(by_name[name].mask)
        maps = [np.rint(model.map_of(rgb, working) * 255).astype(np.uint8) for model in models]
        tiles = [_tile(Image.fromarray(array)) for array in (rgb, mask, *maps)]
        strip = Image.new("RGB", (sum(tile.width for tile in tiles) + 4 * (len(tiles) - 1), SHEET_HEIGHT), "gray")
        left = 0
        for tile in tiles:
            strip.paste(tile, (left, 0))
            left += tile.width + 4
        file = f"{corpus}-{name}.jpg"
        with whole_file(context.out / "evidence" / file) as temporary:
            strip.save(temporary, quality=85)
        yield file, f"{corpus} {name}: picture, mask, incumbent, candidate"


def _tile(picture: Image.Image) -> Image.Image:
    return picture.convert("RGB").resize((max(1, round(picture.width * SHEET_HEIGHT / picture.height)), SHEET_HEIGHT))
