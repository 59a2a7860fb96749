"""Something to look at: source, saliency map, QP offsets and encode side by side, a frame or the whole clip."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from harness.errors import InputError
from harness.files import whole_file
from harness.media.encode import drawn_video
from harness.media.pictures import resized
from harness.pages.figures import save_figure

VIDEO_SUFFIXES = (".mp4", ".mkv")
PANEL_WIDTH, TITLE_HEIGHT = 640, 24  # of a video's panels
Titles = tuple[str, str, str, str]


@dataclass(frozen=True)
class Panels:
    """What is shown: RGB uint8 `[H, W, 3]` source and encode; of every block the mean saliency that steered, in [0, 1],
    and the offset in QP, `[rows, columns]`."""

    source: np.ndarray
    saliency: np.ndarray
    offsets: np.ndarray
    block: int
    encoded: np.ndarray

    def of_pixels(self, grid: np.ndarray) -> np.ndarray:
        """A grid's values at every pixel, float32 `[H, W]`."""
        height, width = self.source.shape[:2]
        return np.kron(grid, np.ones((self.block, self.block), np.float32))[:height, :width].astype(np.float32)


def check_preview(path: Path) -> None:
    """`InputError` unless `path` names a picture or a video."""
    if path.suffix.lower() not in (".png", *VIDEO_SUFFIXES):
        raise InputError(f"preview {path} (allowed: a .png of one frame, or {' or '.join(VIDEO_SUFFIXES)} of all)")


def write_preview(path: Path, panels: Panels, titles: Titles) -> None:
    """Write a PNG of 2 x 2 panels; blue offsets get bits, red ones give them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height, width = panels.source.shape[:2]
    figure = Figure(figsize=(13, 13 * height / width + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    limit = max(1.0, float(np.abs(panels.offsets).max()))
    axes[0, 0].imshow(panels.source)
    heat = axes[0, 1].imshow(panels.of_pixels(panels.saliency), cmap="magma", vmin=0, vmax=1)
    axes[1, 0].imshow(panels.source.mean(axis=2), cmap="gray", vmin=0, vmax=255)
    steps = axes[1, 0].imshow(panels.of_pixels(panels.offsets), cmap="RdBu_r", vmin=-limit, vmax=limit, alpha=0.75)
    axes[1, 1].imshow(panels.encoded)
    figure.colorbar(heat, ax=axes[0, 1], fraction=0.03, pad=0.01)
    figure.colorbar(steps, ax=axes[1, 0], fraction=0.03, pad=0.01)
    for axis, title in zip(axes.ravel(), titles, strict=True):
        axis.set_title(title, fontsize=10)
        axis.set_axis_off()
    save_figure(figure, path, dpi=100)


def write_preview_video(path: Path, frames: Iterable[Panels], titles: Titles, rate: Fraction, limit: float) -> None:
    """Write all frames as video, 2 x 2 panels each; `limit` is the largest offset in QP, at full colour."""
    from matplotlib import colormaps

    heat, steps = ((colormaps[name](np.arange(256))[:, :3] * 255).astype(np.uint8) for name in ("magma", "RdBu_r"))
    with whole_file(path) as temporary, drawn_video(temporary, rate, crf=18) as add:
        for panels in frames:
            add(_composed(panels, titles, heat, steps, max(1.0, limit)))


def _composed(panels: Panels, titles: Titles, heat: np.ndarray, steps: np.ndarray, limit: float) -> np.ndarray:
    height, width = panels.source.shape[:2]
    wide = min(PANEL_WIDTH, width) // 2 * 2
    size = (max(2, round(height * wide / width / 2) * 2), wide)
    source, encoded = resized(panels.source, size), resized(panels.encoded, size)
    saliency = resized(panels.of_pixels(panels.saliency), size)
    offsets = resized(panels.of_pixels(panels.offsets), size) / limit / 2 + 0.5
    over_grey = 0.25 * source.mean(axis=2, keepdims=True) + 0.75 * steps[_levels(offsets)]
    pictures = (source, heat[_levels(saliency)], over_grey.astype(np.uint8), encoded)
    one, two, three, four = (_titled(picture, title) for picture, title in zip(pictures, titles, strict=True))
    return np.ascontiguousarray(np.vstack([np.hstack([one, two]), np.hstack([three, four])]))


def _levels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values * 255), 0, 255).astype(np.uint8)


def _titled(picture: np.ndarray, title: str) -> np.ndarray:
    strip = Image.new("RGB", (picture.shape[1], TITLE_HEIGHT), "white")
    ImageDraw.Draw(strip).text((6, 4), title, fill="black", font=ImageFont.load_default(13))
    return np.vstack([np.asarray(strip), picture])
