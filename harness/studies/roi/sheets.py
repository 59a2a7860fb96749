"""A sweep to look at: rate against quality arm by arm, and a sheet per clip with its maps beside the curves."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from corpora.loader import ClipPair, images_in
from harness.files import whole_file
from harness.media.frames import Frame
from harness.media.open import open_clip
from harness.media.pictures import read_mask, resized
from harness.models.sources import CENTRE_PRIOR, CentrePrior, Mapper, MapSource
from harness.models.working_size import NATIVE, WorkingSize
from harness.saliency.colour import true_rgb
from harness.studies.roi.plan import ORACLE, PLAIN, SHUFFLED, SweepPlan, models_of

COLUMNS = 4
SHORT = 480  # lines of a picture on a sheet, which shows it smaller still
_FIXED = {
    PLAIN: ("black", "-"),
    ORACLE: ("tab:green", "--"),
    CENTRE_PRIOR: ("tab:orange", "--"),
    SHUFFLED: ("grey", ":"),
}
_MODELS = ("tab:blue", "tab:red", "tab:purple", "tab:cyan", "tab:pink", "tab:brown")


def write_sheets(
    clips: Sequence[ClipPair], plan: SweepPlan, rows: pd.DataFrame, rates: pd.DataFrame, folder: Path, name: str
) -> list[Path]:
    """Write PNGs into `folder`: per encoder and strength the curves of all clips, then a sheet per clip.

    `rows` and `rates` are what `sweep` and `bd_rates` returned. A sheet's curves are those of the first encoder at the
    first strength. Equal rows give equal files.
    """
    written = []
    mappers = mappers_of(plan)
    for encoder, strength in itertools.product(plan.encoders, plan.strengths):
        figure = Figure(figsize=(4 * COLUMNS, 3 * len(clips) + 0.6), layout="constrained")
        figure.suptitle(f"Rate and quality, {encoder}, strength {strength:g}")
        for clip, axes in zip(clips, figure.subplots(len(clips), COLUMNS, squeeze=False), strict=True):
            _curves(axes, rows, clip.name, encoder, strength, plan.region)
            axes[0].set_title(clip.name, loc="left")
        _legend(figure)
        written.append(_save(figure, folder / f"{name}_rd_{encoder}_{strength:g}.png"))
    return written + [
        _save(sheet_figure(clip, plan, rows, rates, mappers), folder / f"{name}_sheet_{clip.name}.png")
        for clip in clips
    ]


def mappers_of(plan: SweepPlan) -> dict[str, Mapper]:
    """What makes the maps of a sheet, by arm: each model and the centre prior."""
    sources: list[MapSource] = [*models_of(plan), CentrePrior()]
    return {source.name: source.open(threads=0) for source in sources}


def sheet_figure(
    clip: ClipPair, plan: SweepPlan, rows: pd.DataFrame, rates: pd.DataFrame, mappers: dict[str, Mapper]
) -> Figure:
    """A clip's middle frame, the maps of it, and the clip's curves at the first encoder and strength."""
    encoder, strength = plan.encoders[0], plan.strengths[0]
    frame, mask = _middle(clip, plan.frames)
    figure = Figure(figsize=(4 * COLUMNS, 8), layout="constrained")
    figure.suptitle(f"{clip.name}, {encoder}, strength {strength:g}; frame {frame.index}")
    above, below = figure.subfigures(2, 1)  # type: ignore[misc]
    places = above.subplots(1, 1 + len(mappers))
    limit = WorkingSize(short_side=SHORT) if min(frame.height, frame.width) > SHORT else NATIVE
    shown = limit.of(frame.height, frame.width)
    rgb, mask = true_rgb(frame, shown), resized(mask.astype(np.float32), shown)
    places[0].imshow(rgb)
    places[0].contour(mask, [0.5], colors="lime", linewidths=1)
    places[0].set_title(f"source, {plan.region}", fontsize=9)
    small = true_rgb(frame, WorkingSize.parse(plan.working).of(frame.height, frame.width))
    for place, (arm, mapper) in zip(places[1:], mappers.items(), strict=True):
        saliency = np.asarray(mapper(str(frame.index), small, NATIVE))
        place.imshow(resized(saliency.astype(np.float32), rgb.shape[:2]), cmap="magma", vmin=0, vmax=1)
        place.contour(mask, [0.5], colors="lime", linewidths=1)
        place.set_title(f"{arm}\n{_bd_rate(rates, clip.name, encoder, strength, arm, plan.region)}", fontsize=9)
    for place in places:
        place.set_axis_off()
    axes = below.subplots(1, COLUMNS)
    _curves(axes, rows, clip.name, encoder, strength, plan.region)
    oracle = _bd_rate(rates, clip.name, encoder, strength, ORACLE, plan.region)
    below.suptitle(f"BD-rates are against the plain encode; the oracle's: {oracle}", fontsize=9)
    _legend(figure)
    return figure


def _middle(clip: ClipPair, limit: int | None) -> tuple[Frame, np.ndarray]:
    masks = images_in(clip.masks)
    number = len(masks[:limit]) // 2
    frame = next(frame for frame in open_clip(clip.frames) if frame.index == number)
    return frame, read_mask(masks[number], size=(frame.height, frame.width))


def _curves(axes: Any, rows: pd.DataFrame, clip: str, encoder: str, strength: float, region: str) -> None:
    here = rows[(rows["clip"] == clip) & (rows["encoder"] == encoder)]
    here = here[(here["strength"] == strength) | (here["arm"] == PLAIN)]
    shown = {
        f"psnr_y@{region}": f"PSNR-Y in the {region} (dB)",
        f"vmaf@{region}": f"VMAF in the {region}",
        "psnr_y": "PSNR-Y (dB)",
        "vmaf": "VMAF",
    }
    for axis, (metric, label) in zip(axes, shown.items(), strict=True):
        for arm, points in here.groupby("arm", sort=False):
            points = points.sort_values("kbps")
            colour, line = _style(str(arm), rows)
            axis.plot(points["kbps"], points[metric], marker="o", markersize=3, color=colour, linestyle=line, label=arm)
        axis.set_xscale("log")
        rates = here[here["arm"] == PLAIN]["kbps"].sort_values()
        axis.set_xticks(rates, [f"{rate:.0f}" for rate in rates])
        axis.minorticks_off()
        axis.set_xlabel("kbit/s", fontsize=8)
        axis.set_ylabel(label, fontsize=8)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)


def _style(arm: str, rows: pd.DataFrame) -> tuple[str, str]:
    if arm in _FIXED:
        return _FIXED[arm]
    models = [name for name in rows["arm"].unique() if name not in _FIXED]
    return _MODELS[models.index(arm) % len(_MODELS)], "-"


def _legend(figure: Figure) -> None:
    handles, labels = next(axis for axis in figure.axes if axis.lines).get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)


def _bd_rate(rates: pd.DataFrame, clip: str, encoder: str, strength: float, arm: str, region: str) -> str:
    here = rates[(rates["clip"] == clip) & (rates["encoder"] == encoder) & (rates["strength"] == strength)]
    values = here[here["arm"] == arm].set_index("metric")["bd_rate"]
    shown = {region: values.get(f"psnr_y@{region}"), "frame": values.get("psnr_y")}
    return "PSNR-Y " + ", ".join(
        f"{where} {value:+.1f} %" if value is not None and pd.notna(value) else f"{where} undefined"
        for where, value in shown.items()
    )


def _save(figure: Figure, path: Path) -> Path:
    figure.dpi = 90
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(256)  # a third of the bytes
    with whole_file(path) as temporary:
        picture.save(temporary, optimize=True)
    return path
