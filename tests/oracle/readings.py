"""Record what this version's measures say on the recorded maps, so that a change of a number is noticed.

Run it when a number is meant to change, from the repository's root: `python -m tests.oracle.readings`
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness import metrics
from harness.files import write_json
from harness.metrics import Sample

VECTORS = Path(__file__).parents[1] / "vectors"
OUT = VECTORS / "readings.json"


def readings() -> dict[str, float]:
    """Each key's values on all recorded maps, weighted by place and added up; undefined ones count as -1."""
    found: dict[str, float] = {}
    with np.load(VECTORS / "measures.npz") as recorded:
        cases = sorted(name.removesuffix("|map") for name in recorded if name.endswith("|map"))
        cases = [case for case in cases if "flat" not in case]  # S of a flat map hangs on a processor's rounding
        for place, case in enumerate(cases):
            for key, value in metrics.reading(Sample.of(recorded[f"{case}|map"], recorded[f"{case}|truth"])).items():
                values = np.nan_to_num(np.atleast_1d(value), nan=-1.0)
                weights = np.cos(place + np.arange(len(values)))  # so that no two changes cancel
                found[key] = found.get(key, 0.0) + float(weights @ values)
    return found


if __name__ == "__main__":
    write_json(OUT, readings())
