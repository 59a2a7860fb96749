"""Native against embedded: the extractor here beside logs that a libvmaf with `mobilesal` wrote, anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from harness.errors import InputError
from harness.files import read_json
from harness.media.open import open_clip
from harness.models.session import SaliencyModel
from harness.quality.libvmaf import Log, read_log
from harness.quality.native import COLUMN
from harness.saliency.feature import extract
from harness.stats import pearson, spearman

PRINTED = 1e-6  # libvmaf prints six decimals


@dataclass(frozen=True)
class Case:
    """A native log, the clip that it scored as the distorted one, and the model that it used."""

    log: Path
    clip: str
    model: SaliencyModel


def parity(cases: Sequence[Case], progress: Callable[[int, int], None] = lambda done, total: None) -> pd.DataFrame:
    """One row per case: `saliency_mean` of every frame, native (as printed) against embedded.

    Raises `HarnessError` for a log with gaps, `InputError` for one of another length than its clip.
    """
    rows = []
    for done, case in enumerate(cases, 1):
        embedded = np.array([sample.means[0] for sample in extract(open_clip(case.clip), [case.model])])
        log = _native(case.log, len(embedded), case.clip)
        native = log.column(COLUMN)
        apart = np.abs(native - embedded)
        rows.append(
            {
                "clip": Path(case.clip).name,
                "model": case.model.name,
                "libvmaf": log.version,
                "frames": len(native),
                "native_mean": native.mean(),
                "embedded_mean": embedded.mean(),
                "max_abs_diff": float(apart.max()),
                "frames_equal_as_printed": int((np.abs(native - embedded.round(6)) < PRINTED / 2).sum()),
                "plcc": pearson(native, embedded),
                "srocc": spearman(native, embedded),
            }
        )
        progress(done, len(cases))
    return pd.DataFrame(rows)


def _native(log: Path, frames: int, clip: str) -> Log:
    content = read_json(log)
    logged = content.get("frames", []) if isinstance(content, dict) else []
    if len(logged) != frames:
        raise InputError(f"{log}: {len(logged)} frames, {clip} has {frames} (must be equal)")
    return read_log(log, range(frames), [COLUMN])
