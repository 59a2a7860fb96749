"""A model is held to its contract whenever it runs, and its file is read once."""

from __future__ import annotations

import pickle
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from harness.errors import HarnessError, InputError
from harness.models import bounds, session
from harness.models.contract import check_graph
from harness.models.model_file import ModelFile
from harness.models.session import load_model, open_model
from harness.models.sources import ModelSource
from harness.models.working_size import WorkingSize
from tests.helpers.models import write_breaking, write_graph, write_student

PICTURE = np.random.default_rng(0).integers(0, 256, (1, 24, 32, 3), np.uint8)
OPENED: list[str] | None = None


def _heard(event: str, arguments: tuple) -> None:
    if OPENED is not None and event == "open":
        OPENED.append(str(arguments[0]))


sys.addaudithook(_heard)


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """Every file that this process opens, by path."""
    global OPENED
    OPENED = []
    session._opened.cache_clear()
    yield OPENED
    OPENED = None


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("half", "bad: the map of a 32x24 picture is 16x12 (allowed: the picture's size)"),
        ("twice", "bad: the map of a 32x24 picture is 64x48 (allowed: the picture's size)"),
        ("nan", "bad: its map holds NaN or infinite values (allowed: 0 to 1)"),
        ("beyond", "bad: its map holds values from 1."),
    ],
)
def test_a_map_that_breaks_the_contract_is_refused(tmp_path: Path, how: str, says: str) -> None:
    model = load_model(write_breaking(tmp_path / "bad.onnx", how))
    for run in (model.maps, lambda pictures: model.map_of(pictures[0], WorkingSize.parse("16"))):
        with pytest.raises(InputError, match=re.escape(says) if "32x24" not in says else "bad: the map of a "):
            run(PICTURE)
    with pytest.raises(InputError, match=re.escape(says)):
        model.maps(PICTURE)


def test_scaling_inside_a_graph_may_round_above_one(tmp_path: Path) -> None:
    path = write_graph(
        tmp_path / "above.onnx",
        helper.make_node("Conv", ["input", "w"], ["nothing"]),
        helper.make_node("Add", ["nothing", "above"], ["saliency_map"]),
        w=np.zeros((1, 3, 1, 1), np.float32),
        above=np.array(np.nextafter(np.float32(1), np.float32(2))),
    )
    model = load_model(path)
    assert model.maps(PICTURE).max() > 1
    assert model.map_of(PICTURE[0]).max() == 1, "what is measured or steers is in range"


def test_a_fixed_batch_of_others_than_one_is_refused(tmp_path: Path) -> None:
    path = write_student(tmp_path / "batch.onnx")
    model = onnx.load(path)
    for port in (*model.graph.input, *model.graph.output):
        port.type.tensor_type.shape.dim[0].dim_value = 4
    onnx.save(model, path)
    with pytest.raises(InputError, match=r"input input has shape \[4, 3, 'H', 'W'\] \(allowed: \[1, 3"):
        check_graph(path)


def test_a_file_is_read_once_whoever_asks(tmp_path: Path, opened: list[str]) -> None:
    path = write_student(tmp_path / "student.onnx")
    opened.clear()
    file = ModelFile.at(path)
    assert file.sha256 == load_model(file).sha256
    source = ModelSource("again", file)
    source.open(2)
    assert open_model(ModelFile.known("told", path, file.sha256), 2).name == "told"
    assert opened.count(str(path)) == 1


def test_what_was_hashed_is_what_runs(tmp_path: Path) -> None:
    path = write_student(tmp_path / "student.onnx", 1.0)
    file = ModelFile.at(path)
    before = file.sha256
    write_student(path, 9.0)
    assert load_model(file).sha256 == before
    assert np.ptp(load_model(file).maps(PICTURE)) < np.ptp(load_model(path).maps(PICTURE))
    there = pickle.loads(pickle.dumps(file))
    assert there.sha256 == before
    with pytest.raises(InputError, match=r"student.onnx has changed during the run: sha256 was [0-9a-f]{64}, is"):
        _ = there.content


def loop(trips: str, **constants: np.ndarray) -> tuple:
    """Nodes that add 1 to the red channel as often as `trips` says."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["on"], ["still"]),
            helper.make_node("Add", ["sum", "one"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
    )
    return (
        helper.make_node("Conv", ["input", "w"], ["grey"]),
        helper.make_node("Shape", ["input"], ["sides"]),
        helper.make_node("ReduceProd", ["sides"], ["area"], keepdims=0),
        helper.make_node("Loop", [trips, "", "grey"], ["turned"], body=body),
        helper.make_node("Sigmoid", ["turned"], ["saliency_map"]),
    )


LOOP = {"w": np.zeros((1, 3, 1, 1), np.float32), "one": np.array(0.1, np.float32)}


def test_a_loop_turns_a_constant_and_small_number_of_times(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "ten.onnx", *loop("trips"), **LOOP, trips=np.array(10, np.int64))
    np.testing.assert_allclose(load_model(path).maps(PICTURE), 1 / (1 + np.exp(-1)), rtol=1e-5)
    endless = write_graph(tmp_path / "endless.onnx", *loop("trips"), **LOOP, trips=np.array(2**62, np.int64))
    open_ended = write_graph(tmp_path / "open.onnx", *loop("area"), **LOOP)
    started = time.monotonic()
    with pytest.raises(InputError, match=r"endless\.onnx: Loops that turn \d+ times \(allowed: at most 1000\)"):
        load_model(endless)
    with pytest.raises(InputError, match=r"open\.onnx: a Loop turns as often as the graph computes"):
        load_model(open_ended)
    assert time.monotonic() - started < 5


def test_loops_in_a_loop_multiply(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "nested.onnx", *loop("trips"), **LOOP, trips=np.array(100, np.int64))
    model = onnx.load(path)
    outer = next(node for node in model.graph.node if node.op_type == "Loop")
    inner = onnx.NodeProto()
    inner.CopyFrom(outer)
    inner.input[2], inner.output[0] = "sum", "next"
    within = inner.attribute[0].g  # a name may be given once in a graph and those around it
    for named in (*within.node, *within.input, *within.output):
        for names in (named.input, named.output) if isinstance(named, onnx.NodeProto) else ():
            names[:] = [name if name == "one" else f"inner {name}" for name in names]
        named.name = f"inner {named.name}"
    outer.attribute[0].g.node[1].CopyFrom(inner)
    onnx.save(model, path)
    with pytest.raises(InputError, match=r"nested\.onnx: Loops that turn 10000 times"):
        load_model(path)


def memory(path: Path, rows: int) -> Path:
    """A graph that multiplies `rows` x `rows` numbers out of two small constants, whatever the picture."""
    node = helper.make_node
    return write_graph(
        path,
        node("Conv", ["input", "w"], ["grey"]),
        node("ReduceMean", ["input"], ["level"], axes=[0, 1, 2, 3], keepdims=0),
        node("Expand", ["level", "tall"], ["column"]),
        node("Expand", ["level", "wide"], ["row"]),
        node("MatMul", ["column", "row"], ["all"]),
        node("ReduceMean", ["all"], ["mean"], keepdims=0),
        node("Add", ["grey", "mean"], ["logits"]),
        node("Sigmoid", ["logits"], ["saliency_map"]),
        w=np.zeros((1, 3, 1, 1), np.float32),
        tall=np.array([rows, 1], np.int64),
        wide=np.array([1, rows], np.int64),
    )


def test_a_graph_that_fills_memory_is_tried_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "BYTES", 256 << 20)
    with pytest.raises(InputError, match=r"full\.onnx: a trial run on 64x64 pixels failed: ") as refused:
        load_model(memory(tmp_path / "full.onnx", 20_000))
    assert "\n" not in str(refused.value)
    load_model(memory(tmp_path / "small.onnx", 20))


def test_only_graphs_of_unknown_cost_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "_refusal", lambda content: pytest.fail("tried"))
    session._opened.cache_clear()
    load_model(write_student(tmp_path / "plain.onnx"))
    for name in ("saliency_student_v1", "saliency_student_v2", "saliency_student_v3"):
        load_model(name)


def test_pictures_of_another_type_are_refused(tmp_path: Path) -> None:
    model = load_model(write_student(tmp_path / "student.onnx"))
    with pytest.raises(InputError, match=r"pictures are float32 .* \(allowed: uint8 \[N, H, W, 3\]\)"):
        model.maps(PICTURE.astype(np.float32))


def test_a_run_that_fails_inside_is_one_line(tmp_path: Path) -> None:
    path = write_graph(
        tmp_path / "fixed.onnx",
        helper.make_node("Reshape", ["input", "sides"], ["cut"]),
        helper.make_node("Conv", ["cut", "w"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["saliency_map"]),
        w=np.zeros((1, 3, 1, 1), np.float32),
        sides=np.array([1, 3, 64, 64], np.int64),
    )
    with pytest.raises(HarnessError, match="fixed: inference failed: ") as failed:
        load_model(path).maps(PICTURE)
    assert "\n" not in str(failed.value)
