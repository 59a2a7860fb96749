"""Bands give the very map that the whole picture gives, where the graph allows it."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from harness.models.bands import Locality, in_bands, locality
from harness.models.contract import INPUT, OUTPUT
from harness.models.session import load_model
from tests.helpers import VECTORS


def reach_measured(model, rows=256):
    """The farthest output row that one changed input row moves, in the middle of noise."""
    picture = np.random.default_rng(0).normal(size=(1, 3, rows, 32)).astype(np.float32)
    (before,) = model.session.run([OUTPUT], {INPUT: picture})
    farthest = 0
    for row in range(rows // 2, rows // 2 + 8):
        changed = picture.copy()
        changed[:, :, row] += 50
        (after,) = model.session.run([OUTPUT], {INPUT: changed})
        moved = np.flatnonzero((before != after).any(axis=(0, 1, 3)))
        farthest = max(farthest, int(np.abs(moved - row).max()))
    return farthest


@pytest.mark.parametrize("name", ["saliency_student_v1", "saliency_student_v2"])
def test_students_are_local_and_bands_change_no_bit(name):
    model = load_model(name, threads=1)
    assert model.local and model.local.step == 8
    assert reach_measured(model) <= model.local.reach <= 64
    picture = np.random.default_rng(1).normal(size=(1, 3, 344, 48)).astype(np.float32)

    def run(planes):
        return model.session.run([OUTPUT], {INPUT: planes})[0]

    banded = in_bands(run, picture, model.local, pixels=48 * 256)
    assert np.array_equal(banded, run(picture))


def test_the_tiny_graph_looks_one_row_away():
    assert locality(onnx.load(VECTORS / "mobilesal_tiny.onnx").graph) == Locality(1, 1)


def test_bands_stay_below_their_size_and_cover_every_row():
    seen = []

    def run(planes):
        seen.append(planes.shape[2])
        return planes[:, :1]

    picture = np.arange(3 * 1080 * 4, dtype=np.float32).reshape(1, 3, 1080, 4)
    assert np.array_equal(in_bands(run, picture, Locality(40, 8), pixels=4 * 651), picture[:, :1])
    assert len(seen) == 2 and max(seen) <= 651


def graph_of(*nodes):
    ports = [
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, c, "H", "W"])] for n, c in ((INPUT, 3), (OUTPUT, 1))
    ]
    return helper.make_graph(list(nodes), "g", *ports)


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("ReduceMean", [INPUT], [OUTPUT], axes=[1, 2, 3]),
        helper.make_node("Resize", [INPUT, "", "", "size"], [OUTPUT], mode="linear"),
        helper.make_node("Concat", [INPUT, INPUT], [OUTPUT], axis=2),
        helper.make_node("MaxPool", [INPUT], [OUTPUT], kernel_shape=[2, 2], strides=[2, 2]),
    ],
)
def test_graphs_that_may_look_further_are_run_whole(node):
    assert locality(graph_of(node)) is None
