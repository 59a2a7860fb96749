"""How much a map owes to the way in which a large frame comes down to the working size.

HARNESS_CORPORA=/data python -m benchmarks.aliasing --model saliency_student_v3 --model saliency_student_v4

Pictures of the validation fold are enlarged to 1920x1080 and 3840x2160, with nothing, grain, small text, or a grid of
lines in them; each map is compared with the same model's map of the same frame after an exact mean over 4x4 or 8x8
pixels, which cannot alias. Both maps are compared at the smaller size.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from benchmarks.publish import publish
from corpora.loader import content_digest, load_pairs
from harness.jobs.provenance import code_of, this_command
from harness.models.session import SaliencyModel, load_model
from harness.tables import Table
from train.data import validation_split

SIZES = {"1920x1080": 4, "3840x2160": 8}  # and the factor of the exact mean
WORDS = "the quick brown fox jumps over the lazy dog 0123456789 "
GRAIN, CONTRAST = 14.0, 70


def grain(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Independent noise on every pixel, the same in all channels."""
    noise = rng.normal(0, GRAIN, (*frame.shape[:2], 1))
    return (frame + noise).clip(0, 255).astype(np.uint8)


def text(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lines of 14-pixel text over the lower half."""
    picture = Image.fromarray(frame)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    height, width = frame.shape[:2]
    for y in range(height // 2, height, 20):
        draw.text((int(rng.integers(0, 40)), y), WORDS * (width // 380), (235, 235, 235), font)
    return np.asarray(picture)


def grid(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lines a pixel wide at every fifth row and column, in the left half."""
    changed = frame.astype(np.int16)
    half = frame.shape[1] // 2
    changed[::5, :half] += CONTRAST
    changed[:, :half:5] += CONTRAST
    return changed.clip(0, 255).astype(np.uint8)


KINDS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "plain": lambda frame, rng: frame, "grain": grain, "text": text, "grid": grid,
}  # fmt: skip


def difference(model: SaliencyModel, frame: np.ndarray, factor: int) -> tuple[float, float]:
    """Mean absolute change of the map, and change of its mean, against the frame's exact mean over `factor`."""
    small = np.asarray(Image.fromarray(frame).reduce(factor))
    native = model.maps(frame[None])[0]
    height, width = small.shape[:2]
    native = native[: height * factor, : width * factor].reshape(height, factor, width, factor).mean((1, 3))
    exact = model.maps(small[None])[0]
    return float(np.abs(native - exact).mean()), float(native.mean() - exact.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", required=True, help="registry id or .onnx path; repeatable")
    parser.add_argument("--root", type=Path, help="where DUTS-TR lies")
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--out", type=Path, default=Path("results/train"))
    asked = parser.parse_args()
    models = [load_model(name, 1) for name in asked.model]
    pairs = load_pairs("duts-tr", asked.root)
    _, held = validation_split(len(pairs))
    rows = []
    for size, factor in SIZES.items():
        width, height = (int(side) for side in size.split("x"))
        found: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for index in held[: asked.pictures]:
            with Image.open(pairs[index].image) as opened:
                frame = np.asarray(opened.convert("RGB").resize((width, height), Image.Resampling.BICUBIC))
            for kind, change in KINDS.items():
                changed = change(frame, np.random.default_rng(index))
                for model in models:
                    found.setdefault((kind, model.name), []).append(difference(model, changed, factor))
        for (kind, name), values in found.items():
            changes, shifts = np.array(values).T
            rows.append(
                {
                    "size": size, "frame": kind, "model": name, "map change (mean)": changes.mean(),
                    "map change (worst frame)": changes.max(), "saliency_mean change (mean)": np.abs(shifts).mean(),
                }
            )  # fmt: skip
    notes = (
        f"{asked.pictures} pictures of the validation fold, enlarged: no native 1080p or 4K footage was at hand.",
        "The averaged frame has 270 lines: a student that sees small frames otherwise (v5) changes by that, too.",
    )
    table = Table(
        "train.aliasing", "aliasing", "What coming down costs", pd.DataFrame(rows), this_command(),
        {model.name: model.sha256 for model in models},
        {f"{asked.pictures} pictures of DUTS-TR": content_digest([pairs[index] for index in held[: asked.pictures]])},
        code_of("benchmarks.aliasing"), notes=notes,
    )  # fmt: skip
    publish(table, asked.out)


if __name__ == "__main__":
    main()
