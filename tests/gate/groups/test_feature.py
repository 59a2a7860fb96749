"""The feature evidence on generated clips."""

from __future__ import annotations

import json
import shutil
import stat
import sys
from pathlib import Path

import av
import pytest

from harness.errors import InputError
from harness.gate import run, run_gate
from harness.gate.context import Contender, Context
from harness.gate.data import clips_of
from harness.gate.groups import feature
from harness.gate.groups.feature import gather
from harness.gate.policy import Policy, load_policy, policy_of
from harness.gate.rules import PARITY, judge, rules_of
from harness.gate.verdict import Outcome
from harness.media.open import open_clip
from harness.models.registry import Registry
from tests.helpers import ROOT
from tests.helpers.models import write_student

# Keeps the documented command line of the fork's tool: answers by the embedded extractor, or beside it, or refuses.
VMAF = """#!{python}
import json, os, sys
from pathlib import Path
from harness.media.open import open_clip
from harness.saliency.feature import extract
from harness.models.session import load_model
args, weights = sys.argv[1:], Path(os.environ["VMAF_MOBILESAL_MODEL_PATH"])
if weights.stem == {refused!r}:
    sys.exit("operator not admitted")
model = load_model(weights)
means = [sample.means[0] + {off} for sample in extract(open_clip(Path(args[args.index("-d") + 1])), [model])]
frames = [dict(frameNum=n, metrics=dict(saliency_mean=float(mean))) for n, mean in enumerate(means)]
json.dump(dict(version="fork", frames=frames), open(args[args.index("-o") + 1], "w"))
"""


def native_extractor(folder: Path, monkeypatch: pytest.MonkeyPatch, off: float = 0.0, refused: str = "") -> None:
    """Put a program that keeps the native tool's protocol where the gate looks; it stands in for the protocol only."""
    path = folder / "vmaf"
    path.write_text(VMAF.format(python=sys.executable, off=off, refused=refused))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("HARNESS_VMAF", str(path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def small_policy(**feature: object) -> Policy:
    content = json.loads(json.dumps(load_policy().content))
    content["profiles"]["demo"]["frames"] = 5
    content["feature"] |= {"crf": [43], **feature}
    return policy_of(content)


def context_of(tmp_path: Path, incumbent: float, candidate: float) -> Context:
    policy = small_policy()
    (tmp_path / "model" / "tiny").mkdir(parents=True)
    (tmp_path / "model" / "tiny" / "registry.json").write_text('{"schema_version": 1, "models": []}')
    sides = [
        Contender.of(str(write_student(tmp_path / f"{name}.onnx", gain)), Registry.read(tmp_path / "model"))
        for name, gain in (("old", incumbent), ("new", candidate))
    ]
    return Context(sides[0], sides[1], policy, policy.profile("demo"), tmp_path / "out", announce=lambda _: None)


def outcomes(context: Context) -> dict[str, Outcome]:
    rules = [rule for rule in rules_of(context.policy, context.profile, native=False) if rule.group == "feature"]
    checks = judge(rules, gather(context).measurements, context.policy.statistics.level)
    return {check.key: check.outcome for check in checks}


def test_a_feature_that_follows_brightness_spreads_and_hardly_drifts(tmp_path: Path):
    context = context_of(tmp_path, 1.0, 1.0)
    evidence = gather(context)
    values = {item.key: item.value for item in evidence.measurements}
    assert values["feature.drift_excess"] == 0
    assert values["feature.plcc_incumbent"] == pytest.approx(1)
    assert values["feature.drift"] < 0.05
    assert len(evidence.tables["saliency_mean"]) == 3 * 2
    assert set(evidence.inputs) == {"synth-clips", "native mobilesal"}


def test_a_constant_feature_fails_by_its_spread(tmp_path: Path):
    assert outcomes(context_of(tmp_path, 1.0, 0.0))["feature.spread"] is Outcome.FAIL


@pytest.mark.parametrize(("off", "outcome"), [(0.0, Outcome.PASS), (1e-3, Outcome.FAIL)])
def test_where_a_native_extractor_is_parity_with_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, off: float, outcome: Outcome
):
    native_extractor(tmp_path, monkeypatch, off)
    context = context_of(tmp_path, 1.0, 2.0)
    evidence = gather(context)
    assert not evidence.unavailable and evidence.inputs["native mobilesal"] == "vmaf-cli"
    checks = judge(rules_of(context.policy, context.profile, native=True), evidence.measurements, 0.95)
    parity = next(check for check in checks if check.key == PARITY)
    assert (parity.outcome, parity.reason) == (outcome, "vmaf-cli on 00-still")
    assert parity.value == pytest.approx(off, abs=1e-6)


def test_a_candidate_that_the_native_extractor_refuses_is_missing_and_not_excused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    native_extractor(tmp_path, monkeypatch, refused="new")
    evidence = gather(context_of(tmp_path, 1.0, 2.0))
    assert not evidence.unavailable
    assert "operator not admitted" in evidence.missing[PARITY]


def test_without_a_native_extractor_the_evidence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HARNESS_VMAF", str(tmp_path / "no-vmaf"))
    evidence = gather(context_of(tmp_path, 1.0, 2.0))
    assert not evidence.missing
    assert evidence.unavailable[PARITY].startswith("no native mobilesal here (vmaf-cli: no program")
    assert evidence.inputs["native mobilesal"].startswith("none: ")


@pytest.mark.parametrize("required", [False, True])
def test_the_verdict_says_what_the_policy_makes_of_a_missing_native_extractor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, required: bool
):
    monkeypatch.setenv("HARNESS_VMAF", str(tmp_path / "no-vmaf"))
    monkeypatch.setattr(run, "GROUPS", (feature,))
    context, policy = context_of(tmp_path, 1.0, 2.0), small_policy(parity_required=required)
    paths = [str(side.file.path) for side in context.pair]
    verdict = run_gate(
        *paths, tmp_path / "out", profile="demo", policy=policy, models=tmp_path / "model", announce=lambda _: None
    )
    parity = [check for check in verdict.checks if check.key == PARITY]
    written = (tmp_path / "out" / "verdict.md").read_text()
    assert "no native mobilesal here (vmaf-cli: no program" in verdict.missing[PARITY]
    if required:
        assert [check.outcome for check in parity] == [Outcome.INCONCLUSIVE]
        assert parity[0].reason == verdict.missing[PARITY] and not verdict.unchecked
    else:
        assert not parity
        assert verdict.unchecked == {PARITY: verdict.missing[PARITY]}
        assert f"- not checked, as the policy allows: {PARITY}: no native mobilesal here" in written
    assert verdict.missing[PARITY] in written


def test_a_clip_that_is_absent_or_short_decides_nothing(tmp_path: Path):
    """Generated clips as they are, then with one short of a frame, then without it."""
    context = context_of(tmp_path, 1.0, 1.0)
    frames = context.profile.frames
    whole = [clip.name for clip in clips_of(context)]
    assert whole == list(context.profile.clip_names)
    y4m = tmp_path / "out/corpora/synth-clips/clips/02-faint.y4m"
    content = y4m.read_bytes()
    y4m.write_bytes(content[: content.rindex(b"FRAME\n")])
    with pytest.raises(InputError, match=f"{frames - 1} frames of clip 02-faint .the policy measures {frames} of each"):
        clips_of(context)
    y4m.unlink()
    shutil.rmtree(tmp_path / "out/corpora/synth-clips/masks/02-faint")
    with pytest.raises(InputError, match="0 frames of clip 02-faint"):
        clips_of(context)


def test_encodes_repeat_to_the_byte(pictures, tmp_path):
    packets = []
    for name in ("one.mkv", "two.mkv", "three.mkv"):
        clip = open_clip(pictures)
        feature._encode(clip, clip.info, tmp_path / name, 43)
        with av.open(str(tmp_path / name)) as container:
            packets.append([bytes(packet) for packet in container.demux(video=0)])
    assert packets[0] == packets[1] == packets[2]
