"""A score as a notebook shows it: numbers, curves over frames, maps."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from harness.pages.charts import line_chart
from harness.pages.page import fragment, picture_of, rows_of
from harness.quality.libvmaf import Log, pooled

SEEN, SEEN_WIDTH = 4, 240  # so many maps, at most so many columns of each
DRAWN = ("vmaf", "saliency_mean")


def notebook(log: Log, made: Mapping[str, Any], maps: Mapping[int, np.ndarray]) -> str:
    """HTML of a log, of how it was `made`, and of `maps` by frame number, float32 `[H, W]` in [0, 1]."""
    rows = pd.DataFrame([{"metric": name, **pooled(log.column(name))} for name in log.metrics])
    charts = []
    for start in DRAWN:
        names = [name for name in log.metrics if name.partition("@")[0].startswith(start)]
        lines = [
            (name, number, list(zip(map(float, log.frames), map(float, log.column(name)), strict=True)))
            for number, name in enumerate(names)
        ]
        if lines:
            charts.append(line_chart(start, "frame", start, lines))
    pictures = [picture_of(_png(one), f"map of frame {number}") for number, one in maps.items()]
    title = f"{Path(made['distorted']).name} against {Path(made['reference']).name}"
    lines_under = [f"{len(log.frames)} frames, saliency by {made['backend']}", *map(str, made["hints"])]
    return fragment(title, [rows_of("", rows)], charts, pictures, lines_under)


def _png(saliency: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.rint(saliency * 255).astype(np.uint8)).save(content, "png")
    return content.getvalue()
