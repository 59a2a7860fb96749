"""One drift of a number by compression, for tables and the gate."""

from __future__ import annotations

import numpy as np

from harness.metrics.drift import relative_drift


def test_each_encode_counts_alike_in_either_direction() -> None:
    assert relative_drift(np.array([0.5]), np.array([[0.4, 0.6, 0.5, 1.0]])).tolist() == [(0.2 + 0.2 + 0 + 1) / 4]


def test_a_map_of_nothing_drifts_by_a_number() -> None:
    assert np.isfinite(relative_drift(np.zeros(1), np.array([[0.0, 0.1]]))).all()
    assert relative_drift(np.zeros(1), np.zeros((1, 3))).tolist() == [1.0]  # as far as can be told: all of it
