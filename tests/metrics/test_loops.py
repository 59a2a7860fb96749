"""Compiled loops and arrays are one function: the same results to the bit."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from harness.metrics import base, loops, weightedf
from harness.metrics import nearest as distances

needs_numba = pytest.mark.skipif(loops.compiled(loops.tally) is None, reason="needs numba: pip install numba")


def pictures() -> list[tuple[np.ndarray, np.ndarray]]:
    rng, found = np.random.default_rng(6), []
    for share in (0.002, 0.02, 0.1, 0.5, 0.97):
        for height, width in ((1, 9), (9, 1), (8, 8), (31, 47), (60, 41), (16, 130)):
            mask = rng.random((height, width)) < share
            mask[rng.integers(height), rng.integers(width)] = True
            found.append((rng.random(mask.shape), mask))
    return found


@needs_numba
@pytest.mark.slow
def test_compiled_loops_equal_the_arrays_to_the_bit() -> None:
    pairs = {
        name: (either.__wrapped__, loops.compiled(loop))
        for name, either, loop in (
            ("nearest", distances._found, loops.nearest),
            ("eased", weightedf._eased, loops.eased),
            ("columns", base._columns, loops.columns),
            ("tally", base._tally, loops.tally),
            ("passing", base._passing, loops.passing),
            ("looked_up", base._looked_up, loops.looked_up),
        )
    }
    for values, mask in pictures():
        near = distances.nearest(mask)
        box = tuple(int(side) for part in near.box for side in (part.start, part.stop))
        given = {
            "nearest": (mask, box, distances._IMPORTANCE, distances.REACH),
            "eased": (values[near.box], mask[near.box], near.pixels, values.ravel()[near.nearest], weightedf._KERNEL),
            "columns": (values, mask, mask.shape[0] // 3, float(values.mean())),
            "tally": (values, mask),
            "passing": (values, mask, float(values.flat[0])),
            "looked_up": ((values * 255).astype(np.uint8), np.sqrt(np.arange(256))),
        }
        for name, (arrays, loop) in pairs.items():
            one, other = (
                found if isinstance(found, tuple) else (found,) for found in (f(*given[name]) for f in (arrays, loop))
            )
            assert all(
                np.array_equal(a, b) and np.asarray(a).dtype == np.asarray(b).dtype
                for a, b in zip(one, other, strict=True)
            ), (name, mask.shape)


def test_the_nearest_pixel_is_the_leftmost_and_then_the_upper_of_equals() -> None:
    for _, mask in pictures()[::3]:
        near = distances.nearest(mask)
        objects = np.argwhere(mask)[np.lexsort(np.argwhere(mask).T)]  # by column, then by row
        columns = near.box[1].stop - near.box[1].start
        for pixel, closest in zip(near.pixels, near.nearest, strict=True):
            at = near.box[0].start + pixel // columns, near.box[1].start + pixel % columns
            squares = ((objects - at) ** 2).sum(axis=1)
            assert tuple(objects[squares.argmin()]) == divmod(closest, mask.shape[1])


@needs_numba
@pytest.mark.slow
def test_a_process_turns_to_the_loops_by_itself() -> None:
    program = (
        "import sys, numpy as np; from harness import metrics; from harness.metrics import Sample, loops\n"
        "loops.WORTH, mask, found = 1, np.eye(20, dtype=bool), []\n"
        "for _ in range(3): found.append(metrics.reading(Sample.of(np.eye(20) * .7, mask))['wf'])\n"
        "assert 'numba' in sys.modules and len(set(found)) == 1"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_few_images_load_no_numba() -> None:
    program = (
        "import sys, numpy as np; from harness import metrics; from harness.metrics import Sample\n"
        "metrics.reading(Sample.of(np.eye(20), np.eye(20, dtype=bool)))\n"
        "assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
