"""Offsets in the formats of other programs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from harness.errors import InputError
from harness.files import check_writable, scratch_folder, whole_file, write_text
from harness.roi.offsets import Share, Steps, Strength, block_areas, merged_means, neutral

QINDEX_PER_QP = 5.0  # AV1's 256 quantiser indices span about what 51 QP do
QINDEX_PER_CRF = 20 / 3  # of a whole frame's offset in SVT-AV1, by bytes at CRF 30, 40 and 50
SVTAV1_BLOCK, SVTAV1_LEVELS = 64, 8
SVTAV1_STEPS = Steps(-51, 51, 1 / QINDEX_PER_QP, SVTAV1_LEVELS)
PNG_ZERO, PNG_PER_QP = 128, 4


def write_kvazaar(path: Path, grids: Sequence[np.ndarray]) -> None:
    """kvazaar's `--roi`: per frame a line `columns rows`, then rows of integer delta QPs."""
    frames = []
    for grid in grids:
        rows = [" ".join(f"{round(float(value))}" for value in row) for row in grid]
        frames.append("\n".join([f"{grid.shape[1]} {grid.shape[0]}", *rows]))
    write_text(path, "\n".join(frames) + "\n")


def write_svtav1(path: Path, grids: Sequence[np.ndarray]) -> None:
    """`SvtAv1EncApp --roi-map-file`: per change a line `<picture> <qindex offset per 64x64 block …>`."""
    lines, last = [], None
    for picture, grid in enumerate(grids):
        offsets = np.clip(np.round(grid * QINDEX_PER_QP), -255, 255).astype(int)
        if np.unique(offsets).size > SVTAV1_LEVELS:
            raise InputError(f"frame {picture} has {np.unique(offsets).size} offsets (SVT-AV1 takes {SVTAV1_LEVELS})")
        text = " ".join(map(str, offsets.ravel()))
        if text != last:
            lines.append(f"{picture} {text}")
        last = text
    write_text(path, "\n".join(lines) + "\n")


def svtav1_base(grids: Sequence[np.ndarray]) -> tuple[int, Sequence[np.ndarray]]:
    """How much finer a CRF SVT-AV1 is to be given, and the grids in QP with none below 0 that then take as many bytes.

    Below 0 it spends bits and gives hardly any quality, for what a block is worth follows from the frame's quantiser
    alone (2.3 and 4.2); above 0 it does what is asked.
    """
    lowest = min(0.0, *(float(grid.min()) for grid in grids))
    finer = math.ceil(-lowest * QINDEX_PER_QP / QINDEX_PER_CRF - 1e-9)
    return finer, [grid + finer * QINDEX_PER_CRF / QINDEX_PER_QP for grid in grids]


def write_json_offsets(path: Path, grids: Sequence[np.ndarray]) -> None:
    """One JSON object: `block_rows`, `block_columns` and per frame the offsets in QP, row by row."""
    rows, columns = grids[0].shape
    frames = [grid.astype(float).ravel().tolist() for grid in grids]
    write_text(path, json.dumps({"block_rows": rows, "block_columns": columns, "offsets_qp": frames}) + "\n")


def write_npz(path: Path, grids: Sequence[np.ndarray]) -> None:
    """`offsets_qp`, float32 `[frames, rows, columns]`, compressed."""
    with whole_file(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, offsets_qp=np.stack(grids).astype(np.float32))


def write_png(path: Path, grids: Sequence[np.ndarray]) -> None:
    """A folder of `00000.png` …, one grey pixel a block: `128 - 4 * offset`, so brighter gets more bits."""
    check_export("png", path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(path) as scratch:
        folder = Path(scratch, path.name)
        folder.mkdir()
        for index, grid in enumerate(grids):
            grey = np.clip(np.round(PNG_ZERO - PNG_PER_QP * grid), 0, 255).astype(np.uint8)
            Image.fromarray(grey).save(folder / f"{index:05d}.png")
        folder.rename(path)


@dataclass(frozen=True)
class Export:
    """A format: its writer, and where the other program has them, its own `steps` and `block` instead of ours.

    `based`, where there is one, gives the grids that are written, and how much finer a CRF they are for.
    """

    write: Callable[[Path, Sequence[np.ndarray]], None]
    block: int | None = None
    steps: Steps | None = None
    based: Callable[[Sequence[np.ndarray]], tuple[int, Sequence[np.ndarray]]] | None = None

    def offsets(
        self, weights: np.ndarray, offsets: np.ndarray, block: int, height: int, width: int, knob: Strength | Share
    ) -> np.ndarray:
        """The grid to write for a frame of `height` x `width`, planned as `weights` and `offsets` in our `block`."""
        if self.steps is None:
            return offsets
        into = self.block or block
        areas = block_areas(height, width, into)
        return neutral(knob.raw(merged_means(weights, height, width, block, into), areas), areas, self.steps)


EXPORTS = {
    "kvazaar": Export(write_kvazaar, steps=Steps()),
    "svtav1": Export(write_svtav1, SVTAV1_BLOCK, SVTAV1_STEPS, svtav1_base),
    "x264-json": Export(write_json_offsets),
    "png": Export(write_png),
    "npz": Export(write_npz),
}


def check_export(name: str, path: Path) -> None:
    """`InputError` when there is no such format, or its files cannot go there."""
    if name not in EXPORTS:
        raise InputError(f"no format {name!r} for maps (allowed: {', '.join(EXPORTS)})")
    check_writable(path)
    if name == "png" and path.exists():
        raise InputError(f"{path} exists (allowed: a new folder, one picture a frame goes there)")
