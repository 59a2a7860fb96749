"""The gate's own measurements on real graphs, and the run as a whole where data is absent."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from harness.cli import gate as gate_command
from harness.cli.app import app
from harness.errors import InputError
from harness.gate import run_gate
from harness.gate.evidence import Evidence, remembered
from harness.policy import Policy, load_policy, policy_of
from harness.registry import entry_for, register, sidecar_for
from harness.verdict import Decision, Measurement, Outcome, Verdict, read_verdict


def write_student(path: Path, gain: float = 1.0, activation: str = "Sigmoid") -> Path:
    """A one-layer student: brightness times `gain` through an activation."""
    weights = np.full((1, 3, 1, 1), gain, np.float32)
    nodes = [
        helper.make_node("Conv", ["input", "w"], ["logits"]),
        helper.make_node(activation, ["logits"], ["saliency_map"]),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, "H", "W"])
        for name, channels in (("input", 3), ("saliency_map", 1))
    ]
    graph = helper.make_graph(nodes, "student", ports[:1], ports[1:], [numpy_helper.from_array(weights, "w")])
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder with two registered students; the default for every command."""
    folder = tmp_path / "model"
    for name, gain in (("old", 1.0), ("new", 2.0)):
        path = write_student(tmp_path / f"{name}.onnx", gain)
        entry = entry_for(name, path, "A test student.", "One layer.")
        register(entry, sidecar_for(entry, {}), path, folder)
    monkeypatch.setenv("HARNESS_MODELS", str(folder))
    monkeypatch.setenv("HARNESS_CORPORA", str(tmp_path / "no-corpora"))
    return folder


@pytest.fixture
def policy() -> Policy:
    """The shipped rules on small frames and on corpora that are not there."""
    content = json.loads(json.dumps(load_policy().content))
    content["contract"]["sizes"] = [[32, 48], [17, 21]]
    content["cost"]["sizes"] = [[32, 48]]
    content["profiles"] = {
        "full": {
            **content["profiles"]["full"],
            "accuracy": ["duts-te"],
            "pairs": {"duts-te": 5019},
            "rounds": 3,
        }
    }
    return policy_of(content)


def outcomes(verdict: Verdict, group: str) -> dict[str, Outcome]:
    return {check.key.split(".", 1)[1]: check.outcome for check in verdict.checks if check.group == group}


def gate(policy: Policy, out: Path, incumbent: str = "old", candidate: str = "new") -> Verdict:
    return run_gate(incumbent, candidate, out, policy=policy, announce=lambda text: None)


def test_without_corpora_nothing_is_promoted_and_the_reason_is_given(models: Path, policy: Policy, tmp_path: Path):
    verdict = gate(policy, tmp_path / "out")
    assert set(outcomes(verdict, "contract").values()) == {Outcome.PASS}
    assert set(outcomes(verdict, "accuracy").values()) == {Outcome.INCONCLUSIVE}
    assert verdict.decision in (Decision.INCONCLUSIVE, Decision.HOLD)
    assert read_verdict(tmp_path / "out" / "verdict.json").text() == verdict.text()
    assert (tmp_path / "out" / "verdict.md").read_text().startswith(f"# {verdict.decision}")


def test_a_second_run_is_the_same_to_the_byte_apart_from_time(models: Path, policy: Policy, tmp_path: Path):
    first = gate(policy, tmp_path / "out")
    second = gate(policy, tmp_path / "out")
    assert dataclasses.replace(second, created=first.created).text() == first.text()


@pytest.mark.parametrize(
    ("damage", "key"),
    [
        ("bytes", "registry"),
        ("sidecar", "registry"),
        ("relu", "range"),
        ("operator", "graph"),
    ],
)
def test_a_candidate_that_breaks_the_contract_is_held(
    models: Path, policy: Policy, tmp_path: Path, damage: str, key: str
):
    target = models / "tiny" / "new.onnx"
    if damage == "bytes":
        write_student(target, gain=3.0)
    elif damage == "sidecar":
        target.with_suffix(".json").unlink()
    else:
        path = write_student(tmp_path / "bad.onnx", 2.0, {"relu": "Relu", "operator": "Sin"}[damage])
        target.write_bytes(path.read_bytes())
    verdict = gate(policy, tmp_path / "out")
    assert outcomes(verdict, "contract")[key] is Outcome.FAIL
    assert verdict.decision is Decision.HOLD


def test_unknown_models_and_a_broken_incumbent_are_usage_errors(models: Path, policy: Policy, tmp_path: Path):
    with pytest.raises(InputError, match="unknown model 'newest'"):
        gate(policy, tmp_path / "out", candidate="newest")
    (tmp_path / "text.onnx").write_text("not a graph")
    with pytest.raises(InputError, match="not an ONNX model"):
        gate(policy, tmp_path / "out", incumbent=str(tmp_path / "text.onnx"))
    assert not (tmp_path / "out").exists()


def test_a_changed_evidence_file_is_detected(models: Path, policy: Policy, tmp_path: Path):
    gate(policy, tmp_path / "out")
    path = tmp_path / "out" / "evidence" / "cost.json"
    stored = json.loads(path.read_text())
    stored["evidence"]["measurements"][0]["value"] = 0.01
    path.write_text(json.dumps(stored))
    with pytest.raises(InputError, match=r"cost\.json was changed after it was written"):
        gate(policy, tmp_path / "out")


def test_evidence_is_taken_up_only_when_made_from_the_same_inputs(tmp_path: Path):
    calls = []

    def gather() -> Evidence:
        calls.append(1)
        return Evidence("g", (Measurement("g.k", len(calls)),))

    assert remembered(tmp_path, "g", {"weights": "a"}, gather) == remembered(tmp_path, "g", {"weights": "a"}, gather)
    assert len(calls) == 1
    assert remembered(tmp_path, "g", {"weights": "b"}, gather).measurements[0].value == 2


def test_evidence_with_gaps_is_measured_again(tmp_path: Path):
    remembered(tmp_path, "g", {}, lambda: Evidence("g", missing={"g": "no clips"}))
    assert remembered(tmp_path, "g", {}, lambda: Evidence("g")) == Evidence("g")


def test_the_command_exits_with_the_decision_and_prints_its_json(
    models: Path, tmp_path: Path, policy: Policy, monkeypatch: pytest.MonkeyPatch
):
    if not any(command.callback is gate_command.gate for command in app.registered_commands):
        gate_command.register(app)
    monkeypatch.setattr(gate_command, "load_policy", lambda override: policy)
    asked = ["gate", "--incumbent", "old", "--candidate", "new", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*asked, "--json"])
    content = json.loads(done.stdout)
    assert done.exit_code == Decision(content["verdict"]).exit_code != 0
    table = CliRunner().invoke(app, asked)
    assert content["verdict"] in table.stdout
