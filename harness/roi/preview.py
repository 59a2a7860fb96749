"""One frame to look at: source, saliency map, QP offsets and encode, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import InputError
from harness.files import whole_file


@dataclass(frozen=True)
class Panels:
    """What is shown: RGB uint8 `[H, W, 3]` source and encode, the map `[H, W]` in [0, 1], offsets in QP per block."""

    source: np.ndarray
    saliency: np.ndarray
    offsets: np.ndarray
    block: int
    encoded: np.ndarray


def write_preview(path: Path, panels: Panels, titles: tuple[str, str, str, str]) -> None:
    """Write a PNG of 2 x 2 panels; blue offsets get bits, red ones give them."""
    if path.suffix.lower() != ".png":
        raise InputError(f"preview {path} (allowed: a .png)")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height, width = panels.source.shape[:2]
    figure = Figure(figsize=(13, 13 * height / width + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    grid = np.kron(panels.offsets, np.ones((panels.block, panels.block)))[:height, :width]
    limit = max(1.0, float(np.abs(panels.offsets).max()))
    axes[0, 0].imshow(panels.source)
    heat = axes[0, 1].imshow(panels.saliency, cmap="magma", vmin=0, vmax=1)
    axes[1, 0].imshow(panels.source.mean(axis=2), cmap="gray", vmin=0, vmax=255)
    steps = axes[1, 0].imshow(grid, cmap="RdBu_r", vmin=-limit, vmax=limit, alpha=0.75)
    axes[1, 1].imshow(panels.encoded)
    figure.colorbar(heat, ax=axes[0, 1], fraction=0.03, pad=0.01)
    figure.colorbar(steps, ax=axes[1, 0], fraction=0.03, pad=0.01)
    for axis, title in zip(axes.ravel(), titles, strict=True):
        axis.set_title(title, fontsize=10)
        axis.set_axis_off()
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=100, format="png")
