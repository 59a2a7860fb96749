"""Offsets in the formats of other programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from harness.errors import InputError
from harness.files import whole_file, write_text

QINDEX_PER_QP = 5.0  # AV1's 256 quantiser indices span about what 51 QP do
SVTAV1_BLOCK, SVTAV1_LEVELS = 64, 8


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


def write_json_offsets(path: Path, grids: Sequence[np.ndarray]) -> None:
    """One JSON object: `block_rows`, `block_columns` and per frame the offsets in QP, row by row."""
    rows, columns = grids[0].shape
    frames = [grid.astype(float).ravel().tolist() for grid in grids]
    write_text(path, json.dumps({"block_rows": rows, "block_columns": columns, "offsets_qp": frames}) + "\n")


def write_npz(path: Path, grids: Sequence[np.ndarray]) -> None:
    """`offsets_qp`, float32 `[frames, rows, columns]`, compressed."""
    with whole_file(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, offsets_qp=np.stack(grids).astype(np.float32))


EXPORTS: dict[str, Callable[[Path, Sequence[np.ndarray]], None]] = {
    "kvazaar": write_kvazaar,
    "svtav1": write_svtav1,
    "x264-json": write_json_offsets,
    "npz": write_npz,
}
