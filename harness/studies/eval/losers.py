"""What a page shows of two models on one set: their curves, and the images where one falls furthest behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from corpora.loader import Pair
from harness.files import whole_file
from harness.media.pictures import read_grey, read_rgb
from harness.models.sources import MapSource
from harness.models.working_size import WorkingSize
from harness.studies.eval.result import ArmResult, Evaluation

SHOWN = "eval.pictures"
MEASURE = "iou@0.5"
WORST, STRIP_HEIGHT, GAP = 6, 160, 4


def losers(first: ArmResult, second: ArmResult, count: int = WORST) -> pd.DataFrame:
    """The images where `second` loses most `iou@0.5` to `first`, the worst first; fewer where it loses on fewer."""
    rows = pd.DataFrame({"image": first.rows["image"], "object share": first.rows["object_share"]})
    for arm in (first, second):
        for measure in (MEASURE, "mae"):
            rows[f"{arm.model} {measure}"] = arm.rows[measure]
    rows["gain"] = second.rows[MEASURE] - first.rows[MEASURE]
    worst: pd.DataFrame = rows[rows["gain"] < 0].nsmallest(count, "gain")
    return worst.reset_index(drop=True)


def pr_curves(evaluation: Evaluation) -> pd.DataFrame:
    """Precision and recall of every arm averaged over images, at every fourth threshold."""
    rows = []
    for result in evaluation.results:
        means = result.sums.means()
        points = zip(means["recall_curve"][::4], means["precision_curve"][::4], strict=True)
        rows += [{"model": result.model, "recall": float(recall), "precision": float(p)} for recall, p in points]
    return pd.DataFrame(rows)


def strips(
    pairs: Sequence[Pair], sources: Sequence[MapSource], working: WorkingSize, folder: Path, prefix: str
) -> pd.DataFrame:
    """One strip per image into `folder`: the picture, its mask, every source's map.

    Returns:
        Columns `file`, its name in `folder`, and `caption`.
    """
    mappers = [source.open(1) for source in sources]
    rows = []
    for pair in pairs:
        rgb, mask = read_rgb(pair.image), read_grey(pair.mask)
        maps = [np.rint(mapper(f"{prefix}/{pair.name}", rgb, working) * 255).astype(np.uint8) for mapper in mappers]
        file = f"{prefix}-{pair.name}.jpg"
        with whole_file(folder / file) as temporary:
            _strip([rgb, mask, *maps]).save(temporary, quality=85)
        shown = ", ".join(["picture", "mask", *(source.name for source in sources)])
        rows.append({"file": file, "caption": f"{prefix} {pair.name}: {shown}"})
    return pd.DataFrame(rows, columns=["file", "caption"])


def _strip(pictures: Sequence[np.ndarray]) -> Image.Image:
    tiles = [_tile(Image.fromarray(picture)) for picture in pictures]
    strip = Image.new("RGB", (sum(tile.width for tile in tiles) + GAP * (len(tiles) - 1), STRIP_HEIGHT), "gray")
    left = 0
    for tile in tiles:
        strip.paste(tile, (left, 0))
        left += tile.width + GAP
    return strip


def _tile(picture: Image.Image) -> Image.Image:
    width = max(1, round(picture.width * STRIP_HEIGHT / picture.height))
    return picture.convert("RGB").resize((width, STRIP_HEIGHT))
