"""Record what PySODMetrics says on fixed maps, as vectors that tests/test_measures.py compares with.

PySODMetrics pins an older numpy, so it runs in an environment of its own, from the repository's root:

    python -m venv /tmp/pysod && /tmp/pysod/bin/pip install pysodmetrics==1.6.2
    /tmp/pysod/bin/python tests/oracle/measures_pysodmetrics.py [ECSSD-FOLDER]

With ECSSD's folder, maps made by blurring and shifting its first masks are recorded too, as a crop of each.
"""

from __future__ import annotations

import importlib.metadata
import sys
import warnings
from pathlib import Path

import numpy as np
import py_sod_metrics as oracle
from PIL import Image, ImageFilter

OUT = Path(__file__).parents[1] / "vectors" / "measures.npz"
CURVE_STEP = 5  # every 5th threshold is recorded: 0, 5 .. 255


def cases(ecssd: Path | None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Map (uint8 or float64 in [0, 1]) and mask (bool) by name."""
    rng = np.random.default_rng(4)
    found = {}
    for index, (height, width) in enumerate([(24, 32), (33, 17), (8, 8), (40, 25)]):
        truth = rng.random((height, width)) < rng.uniform(0.05, 0.7)
        found[f"random-bytes-{index}"] = rng.integers(0, 256, (height, width), dtype=np.uint8), truth
        found[f"random-floats-{index}"] = rng.random((height, width)), truth
        found[f"random-narrow-{index}"] = 0.2 + 0.3 * rng.random((height, width)), truth
        found[f"random-binary-{index}"] = (rng.random((height, width)) < 0.4).astype(np.float64), truth
    disc = np.hypot(*np.mgrid[-15:16, -20:21]) < 9
    soft = np.clip(1.2 - np.hypot(*np.mgrid[-17:14, -18:23]) / 14, 0, 1)
    found["disc-soft"] = soft, disc
    found["disc-perfect"] = disc.astype(np.float64), disc
    found["disc-inverted"] = 1.0 - disc, disc
    found["disc-empty-truth"] = soft, np.zeros_like(disc)
    found["disc-full-truth"] = soft, np.ones_like(disc)
    for level in (0.0, 0.3, 0.5, 1.0):
        found[f"flat-{level}"] = np.full(disc.shape, level), disc
        found[f"flat-{level}-empty-truth"] = np.full(disc.shape, level), np.zeros_like(disc)
    found["flat-but-one"] = np.where(np.arange(disc.size).reshape(disc.shape) == 77, 0.6, 0.3), disc
    found["nearly-flat"] = 0.7 + 1e-7 * rng.random(disc.shape), disc
    pixel = np.zeros((12, 14), bool)
    pixel[5, 6] = True
    found["one-pixel-object"] = rng.random(pixel.shape), pixel
    found["one-pixel-background"] = rng.random(pixel.shape), ~pixel
    corner = np.zeros((12, 14), bool)
    corner[-1, -1] = True
    found["corner-object"] = rng.random(corner.shape), corner
    found["row-image"] = rng.random((1, 19)), np.arange(19)[None] % 5 == 2
    found["column-image"] = rng.random((19, 1)), np.arange(19)[:, None] % 5 == 2
    found["one-pixel-image"] = np.array([[0.4]]), np.array([[True]])
    stripes = np.zeros((21, 26), bool)  # many equal distances: the nearest pixel is a matter of ties
    stripes[::5, ::5] = True
    found["ties"] = rng.random(stripes.shape), stripes
    for path in sorted((ecssd / "masks").glob("*.png"))[:6] if ecssd else []:
        mask = Image.open(path).convert("L")
        mask = mask.resize((mask.width // 4, mask.height // 4), Image.Resampling.NEAREST)
        blurred = np.roll(np.asarray(mask.filter(ImageFilter.GaussianBlur(4))), (3, -5), (0, 1))
        found[f"ecssd-{path.stem}"] = blurred.copy(), np.asarray(mask) > 128
    return found


def recorded(saliency: np.ndarray, truth: np.ndarray, minmax: bool) -> dict[str, np.ndarray]:
    """Every shared measure of one pair; `minmax` is what PySODMetrics does to bytes."""
    if minmax:
        prediction, mask = saliency, truth.astype(np.uint8) * 255
    else:
        prediction, mask = saliency / 255 if saliency.dtype == np.uint8 else saliency, truth
    handlers = {
        "f": oracle.FmeasureHandler(True, True, beta=0.3),
        "iou": oracle.IOUHandler(True, True, with_binary=True),
        "dice": oracle.DICEHandler(False, False, with_binary=True),
        "precision": oracle.PrecisionHandler(True, True),
        "recall": oracle.RecallHandler(True, True),
    }
    threshold, mae, s, e = oracle.FmeasureV2(handlers), oracle.MAE(), oracle.Smeasure(), oracle.Emeasure()
    wf = oracle.WeightedFmeasure()
    for measure in (threshold, mae, s, e, wf):
        measure.step(prediction, mask, normalize=minmax)

    def curve(values: np.ndarray) -> np.ndarray:
        return np.asarray(values, np.float64)[::-1][::CURVE_STEP]  # PySODMetrics goes from 255 down

    return {
        "mae": mae.maes[0],
        "s_measure": s.sms[0],
        "wf": wf.weighted_fms[0],
        "e_adaptive": e.adaptive_ems[0],
        "e_curve": curve(e.changeable_ems[0]),
        "f_adaptive": handlers["f"].adaptive_results[0],
        "f_curve": curve(handlers["f"].dynamic_results[0]),
        "precision_curve": curve(handlers["precision"].dynamic_results[0]),
        "recall_curve": curve(handlers["recall"].dynamic_results[0]),
        "precision_adaptive": handlers["precision"].adaptive_results[0],
        "recall_adaptive": handlers["recall"].adaptive_results[0],
        "iou@0.5": handlers["iou"].binary_results[0],
        "iou@adaptive": handlers["iou"].adaptive_results[0],
        "iou_curve": curve(handlers["iou"].dynamic_results[0]),
        "dice@0.5": handlers["dice"].binary_results[0],
    }


def main() -> None:
    warnings.simplefilter("ignore")  # PySODMetrics divides by zero on degenerate masks
    ecssd = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    arrays: dict[str, np.ndarray] = {"oracle": np.array("pysodmetrics " + importlib.metadata.version("pysodmetrics"))}
    for name, (saliency, truth) in cases(ecssd).items():
        arrays[f"{name}|map"], arrays[f"{name}|truth"] = saliency, truth
        for minmax in (False, True) if saliency.dtype == np.uint8 else (False,):
            for key, value in recorded(saliency, truth, minmax).items():
                arrays[f"{name}|{'minmax' if minmax else 'raw'}|{key}"] = np.asarray(value, np.float64)
    np.savez_compressed(OUT, **arrays)
    print(f"{OUT}: {len(cases(ecssd))} pairs, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
