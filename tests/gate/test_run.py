"""A run of the gate: what it measures on real graphs, what it takes up again, what it says where data is absent."""

from __future__ import annotations

import dataclasses
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import harness.gate.policy
from harness.errors import InputError
from harness.gate.policy import Policy, load_policy, policy_of
from harness.gate.promote import begin
from harness.gate.run import judge_folders, run_gate
from harness.gate.verdict import Decision, Outcome, Verdict, read_verdict
from harness.jobs import provenance
from harness.models.registry import entry_for, register, sidecar_for
from harness.studies import cost
from tests.helpers import ROOT
from tests.helpers.commands import run
from tests.helpers.models import write_breaking, write_student


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


def with_groups(policy: Policy, *groups: str) -> Policy:
    """The same rules of these groups alone."""
    return policy_of({**policy.content, "groups": list(groups)})


def outcomes(verdict: Verdict, group: str) -> dict[str, Outcome]:
    return {check.key.split(".", 1)[1]: check.outcome for check in verdict.checks if check.group == group}


def gate(policy: Policy, out: Path, incumbent: str = "old", candidate: str = "new") -> Verdict:
    return run_gate(incumbent, candidate, out, policy=policy, announce=lambda text: None)


@pytest.mark.slow
def test_without_corpora_nothing_is_promoted_and_the_reason_is_given(models: Path, policy: Policy, tmp_path: Path):
    verdict = gate(policy, tmp_path / "out")
    assert set(outcomes(verdict, "contract").values()) == {Outcome.PASS}
    assert set(outcomes(verdict, "accuracy").values()) == {Outcome.INCONCLUSIVE}
    assert verdict.decision in (Decision.INCONCLUSIVE, Decision.HOLD)
    assert read_verdict(tmp_path / "out" / "verdict.json").text() == verdict.text()
    assert (tmp_path / "out" / "verdict.md").read_text().startswith(f"# {verdict.decision}")


@pytest.mark.slow
def test_a_second_run_is_the_same_to_the_byte_apart_from_time(models: Path, policy: Policy, tmp_path: Path):
    first = gate(policy, tmp_path / "out")
    second = gate(policy, tmp_path / "out")
    assert dataclasses.replace(second, created=first.created).text() == first.text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "key"),
    [
        ("bytes", "registry"),
        ("sidecar", "registry"),
        ("relu", "range"),
        ("operator", "graph"),
        ("half", "sizes"),
        ("twice", "sizes"),
        ("nan", "finite"),
        ("beyond", "range"),
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
        activation = {"relu": "Relu", "operator": "Sin"}.get(damage)
        path = tmp_path / "bad.onnx"
        write_student(path, 2.0, activation) if activation else write_breaking(path, damage)
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


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ("accuracy.primary", "iou", r"unknown measure 'iou' .allowed: iou_mean@0.5, "),
        ("accuracy.allowances", {"f_max": 0.1}, "unknown measure 'f_max'"),
        ("accuracy.size_measure", "iou_{size}", "unknown measure 'iou_small'"),
        ("accuracy.working_size", "huge", "accuracy.working_size: working size 'huge' .allowed: native"),
        ("roi.encoder", "x266", "roi.encoder: unknown encoder 'x266' .allowed: libx264"),
        ("roi.encoder", "libaom-av1", "cannot be steered"),
        ("roi.crf", [24, 28, 32, 60], r"roi.crf: crf 60 with libx264 .allowed: 0 to 51"),
        ("roi.law", "centre:2", "roi.law: law centre:2 .allowed: centre:0 to centre:1"),
        ("roi.budgets", ["vmaf=1", "vmaf=3", "speed=1"], "roi.budgets: budget speed=1 .allowed: vmaf"),
        ("roi.allowance", [3.0, 9.0], "roi.allowance: 2 for 3 budgets .allowed: one number for all, or one for each"),
        ("roi.primary", ["vmaf=2"], "roi.primary: vmaf=2 .allowed: vmaf=0, vmaf=1, vmaf=3"),
        ("feature.crf", [60], r"feature.crf: crf 60"),
        ("profiles.full.clips", "ecssd", "profiles.full.clips: ecssd is no set of clips .allowed: davis-2016"),
        ("profiles.full.clips", "davis", "profiles.full.clips: unknown"),
    ],
)
def test_a_name_in_the_policy_that_means_nothing_is_refused_before_any_measuring(
    models: Path, policy: Policy, tmp_path: Path, place: str, value: object, says: str
):
    content = json.loads(json.dumps(policy.content))
    inner = content
    *path, last = place.split(".")
    for key in path:
        inner = inner[key]
    inner[last] = value
    with pytest.raises(InputError, match=says):
        gate(policy_of(content), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_root_that_is_not_there_is_refused_at_once(models: Path, policy: Policy, tmp_path: Path):
    with pytest.raises(InputError, match="absent: no such folder"):
        run_gate("old", "new", tmp_path / "out", policy=policy, root=tmp_path / "absent", announce=lambda text: None)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_first_command_of_a_verdict_repeats_it(models: Path, tmp_path: Path, policy: Policy):
    """With paths, an override and a root: what the command line makes of it is the same run."""
    override = tmp_path / "my policy.toml"
    override.write_text("groups = ['contract', 'accuracy']\n[contract]\nsizes = [[17, 21]]\n")
    candidate = write_student(tmp_path / "a path" / "third.onnx", 3.0)
    root = tmp_path / "root"
    root.mkdir()
    rules = load_policy(override)
    verdict = run_gate("old", str(candidate), tmp_path / "out", policy=rules, root=root, announce=lambda text: None)
    written = (tmp_path / "out" / "verdict.json").read_bytes()
    words = [sys.executable, "-m", *shlex.split(verdict.commands[0])]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == verdict.decision.exit_code, done.stderr
    again = read_verdict(tmp_path / "out" / "verdict.json")
    assert (tmp_path / "out" / "verdict.json").read_bytes() != written
    assert dataclasses.replace(again, created=verdict.created).text() == verdict.text()


@pytest.mark.slow
def test_the_incumbent_is_what_is_in_production_unless_named(models: Path, tmp_path: Path, policy: Policy):
    begin("old", models)
    words = [sys.executable, "-m", "harness", "gate", "--candidate", "absent", "--out", str(tmp_path / "out")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert "unknown model 'absent'" in done.stderr
    verdict = gate(policy, tmp_path / "out", incumbent="production")
    assert verdict.incumbent.id == "old"
    assert verdict.commands[0].startswith("harness gate --incumbent old --candidate new --profile full")


@pytest.mark.slow
def test_a_changed_table_is_detected(models: Path, policy: Policy, tmp_path: Path):
    gate(policy, tmp_path / "out")
    path = tmp_path / "out" / "evidence" / "memory.csv"
    path.write_text(path.read_text().replace("new", "old"))
    with pytest.raises(InputError, match=r"memory\.csv is not what its record tells of: it was changed"):
        gate(policy, tmp_path / "out")


@pytest.mark.slow
def test_a_table_is_taken_up_only_where_measuring_again_would_give_the_same(
    models: Path, policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    timed = []
    times = cost.times
    monkeypatch.setattr(cost, "times", lambda *asked: timed.append(asked) or times(*asked))
    costs = with_groups(policy, "cost")
    first, second = gate(costs, tmp_path / "out"), gate(costs, tmp_path / "out")
    assert len(timed) == 1 and second.measurements == first.measurements
    write_student(models.parent / "new.onnx", 3.0)
    entry = entry_for("new", models.parent / "new.onnx", "A test student.", "One layer.")
    register(entry, sidecar_for(entry, {}), models.parent / "new.onnx", models)
    gate(costs, tmp_path / "out")
    assert len(timed) == 2, "other weights"
    content = json.loads(json.dumps(costs.content))
    content["profiles"]["full"]["rounds"] = 4
    gate(policy_of(content), tmp_path / "out")
    assert len(timed) == 3, "another profile"
    now = provenance.library_versions()
    monkeypatch.setattr(provenance, "library_versions", lambda: {**now, "onnxruntime": "99.0"})
    assert gate(policy_of(content), tmp_path / "out").versions["onnxruntime"] == "99.0"
    assert len(timed) == 4, "another library"


@pytest.mark.slow
def test_what_an_earlier_run_left_behind_is_removed(models: Path, policy: Policy, tmp_path: Path):
    gate(policy, tmp_path / "out")
    evidence = tmp_path / "out" / "evidence"
    assert {"times.csv", "missing.md", "contract.csv"} <= {path.name for path in evidence.iterdir()}
    gate(with_groups(policy, "contract"), tmp_path / "out")
    assert {path.name for path in evidence.iterdir()} == {"contract.csv", "contract.md", "pair.csv", "pair.md"}


@pytest.mark.slow
def test_judging_again_is_the_same_verdict_and_needs_no_models(models: Path, policy: Policy, tmp_path: Path):
    verdict = gate(policy, tmp_path / "out")
    shutil.rmtree(models)
    again = judge_folders([tmp_path / "out" / "evidence"], tmp_path / "again", policy=policy)
    assert again.digest == verdict.digest
    assert read_verdict(tmp_path / "again" / "verdict.json").digest == verdict.digest
    with pytest.raises(InputError, match="no-such: no such folder of tables"):
        judge_folders([tmp_path / "no-such"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: holds no table"):
        judge_folders([tmp_path / "empty"])


@pytest.mark.slow
def test_the_command_exits_with_the_decision_and_prints_its_json(
    models: Path, tmp_path: Path, policy: Policy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(harness.gate.policy, "load_policy", lambda override: policy)
    asked = ["gate", "--incumbent", "old", "--candidate", "new", "--out", tmp_path / "out"]
    done = run(*asked, "--json")
    content = json.loads(done.stdout)
    assert done.exit_code == Decision(content["verdict"]).exit_code != 0
    assert content["verdict"] in run(*asked).stdout
    judged = run("gate", "--from", tmp_path / "out" / "evidence", "--out", tmp_path / "again", "--json")
    assert json.loads(judged.stdout)["digest"] == content["digest"] and judged.exit_code == done.exit_code
    nothing = run("gate", "--out", tmp_path / "none")
    assert isinstance(nothing.exception, InputError) and "nothing to judge" in str(nothing.exception)
