"""The ROI evidence from real encodes of small drawn clips, with maps that are known to be right, wrong or empty."""

from __future__ import annotations

import dataclasses
import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from harness.gate.context import Contender, Context
from harness.gate.data import clips_of
from harness.gate.evidence import Evidence
from harness.gate.groups import roi
from harness.gate.policy import load_policy, policy_of
from harness.gate.rules import judge, rules_of
from harness.gate.verdict import Outcome
from harness.jobs import Store
from harness.jobs.executors import SerialExecutor
from harness.models.registry import Registry
from harness.studies.roi.sweep import sweep
from harness.studies.roi.tables import bd_rates
from harness.tables import read_table
from tests.helpers import ROOT
from tests.helpers.models import write_student

CRFS = [22, 27, 32, 37]
ARMS = {"plain", "right", "wrong", "centre-prior", "shuffled", "oracle"}


def draw(root: Path, name: str, seed: int) -> None:
    """A bright square that drifts through a corner of dark noise: DAVIS's layout, three frames."""
    rng = np.random.default_rng(seed)
    frames, masks = (root / "DAVIS-2016" / kind / "480p" / name for kind in ("JPEGImages", "Annotations"))
    frames.mkdir(parents=True)
    masks.mkdir(parents=True)
    noise = rng.integers(0, 70, (96, 160, 3), np.uint8).repeat(2, 0).repeat(2, 1)
    for index in range(3):
        picture, mask = noise.copy(), np.zeros(noise.shape[:2], np.uint8)
        mask[16:80, 16 + 8 * index : 80 + 8 * index] = 255
        picture[mask > 0] += 180
        Image.fromarray(picture).save(frames / f"{index:05d}.jpg", quality=97)
        Image.fromarray(mask).save(masks / f"{index:05d}.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips and three students: brightness, darkness, nothing."""
    root = tmp_path_factory.mktemp("roi")
    for seed, name in enumerate(("first", "second")):
        draw(root, name, seed)
    for name, gain in (("right", 2.0), ("wrong", -2.0), ("empty", 0.0)):
        write_student(root / f"{name}.onnx", gain)
    (root / "model" / "tiny").mkdir(parents=True)
    (root / "model" / "tiny" / "registry.json").write_text('{"schema_version": 1, "models": []}')
    return root


def context_of(folder: Path, incumbent: str, candidate: str) -> Context:
    content = json.loads(json.dumps(load_policy().content))
    content["roi"]["crf"] = CRFS
    content["profiles"]["full"] |= {"frames": 3, "clip_names": ["first", "second"]}
    policy = policy_of(content)
    sides = [
        Contender.of(str(folder / f"{name}.onnx"), Registry.read(folder / "model")) for name in (incumbent, candidate)
    ]
    out = folder / f"{incumbent}-{candidate}"
    return Context(*sides, policy, policy.profile("full"), out, root=folder, announce=lambda _: None)


@pytest.fixture(scope="module")
def evidence(folder: Path) -> Evidence:
    """The right map against the wrong one."""
    return roi.gather(context_of(folder, "wrong", "right"))


@pytest.fixture(scope="module")
def rows(folder: Path, evidence: Evidence) -> pd.DataFrame:
    """The encodes behind the evidence, taken up from its store."""
    context = context_of(folder, "wrong", "right")
    heard: list[tuple[int, int]] = []
    store = Store(context.out / "jobs" / "roi")
    found = sweep(clips_of(context), roi.plan_of(context), SerialExecutor, store, lambda *both: heard.append(both))
    assert len(heard) == 1, "the store holds every job"
    return found


def outcomes(found: Evidence, context: Context) -> dict[str, Outcome]:
    rules = [rule for rule in rules_of(context.policy, context.profile, native=False) if rule.group == "roi"]
    checks = judge(rules, found.measurements, context.policy.statistics.level, found.missing)
    return {check.key: check.outcome for check in checks}


def test_the_right_map_gains_over_the_wrong_one_in_points_of_bd_rate(folder: Path, evidence: Evidence) -> None:
    values = {item.key: item for item in evidence.measurements}
    assert values["roi.effect"].value == 1
    assert values["roi.effect"].note == f"{2 * len(CRFS)} of {2 * len(CRFS)} encodes differ from the plain one"
    assert values["roi.bdrate_gain"].value > 5
    assert values["roi.bdrate_gain"].count == 2
    assert values["roi.centre_gain"].p_value is not None and values["roi.centre_gain"].null == 0
    assert values["roi.bdrate_gain"].value > values["roi.centre_gain"].value
    assert outcomes(evidence, context_of(folder, "wrong", "right"))["roi.effect"] is Outcome.PASS


def test_the_gains_are_those_of_the_rows_that_the_report_shows(evidence: Evidence, rows: pd.DataFrame) -> None:
    shown = pd.DataFrame(evidence.tables["BD-rate against the plain encode"]).set_index(["clip", "arm"])[roi.QUALITY]
    gain = next(item for item in evidence.measurements if item.key == "roi.bdrate_gain")
    by_clip = [shown[clip, "wrong"] - shown[clip, "right"] for clip in ("first", "second")]
    assert gain.value == pytest.approx(np.mean(by_clip))
    points = pd.DataFrame(evidence.tables[f"rd {roi.QUALITY}"])
    assert set(points["arm"]) == ARMS and len(points) == 2 * len(ARMS) * len(CRFS)
    assert evidence.inputs.keys() == {"davis-2016"}


def test_the_wrong_map_is_held(folder: Path, rows: pd.DataFrame) -> None:
    """The same encodes, the sides swapped."""
    context = context_of(folder, "right", "wrong")
    found, missing = roi._measurements(rows, bd_rates(rows), "right", "wrong", context)
    assert not missing
    swapped = Evidence("roi", tuple(found))
    assert outcomes(swapped, context)["roi.centre_gain"] is not Outcome.PASS
    assert next(item.value for item in found if item.key == "roi.bdrate_gain") < -5


def test_the_command_names_everything_that_decides_the_encodes(folder: Path, evidence: Evidence) -> None:
    """It is taken by the command line itself, and makes the same jobs: the store has nothing left to do."""
    context = context_of(folder, "wrong", "right")
    (line,) = roi.commands(context)
    assert f"--model {folder}/right.onnx --model {folder}/wrong.onnx --clip first --clip second" in line
    assert "--encoder libx264 --crf 22 --crf 27 --crf 32 --crf 37 --strength 4 " in line
    before = set((context.out / "jobs" / "roi").rglob("*"))
    words = [sys.executable, "-m", *shlex.split(line), "--store", str(context.out / "jobs" / "roi")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set((context.out / "jobs" / "roi").rglob("*")) == before
    written = read_table(context.out / "repeat" / "roi" / "sweep_bdrate_by_clip.csv").rows.to_dict("records")
    repeated = {(row["clip"], row["arm"]): row["bd_rate"] for row in written if row["metric"] == roi.QUALITY}
    for row in evidence.tables["BD-rate against the plain encode"]:
        assert repeated[row["clip"], row["arm"]] == pytest.approx(row[roi.QUALITY])


def test_a_map_that_moves_no_bits_fails_by_its_effect(folder: Path) -> None:
    context = context_of(folder, "right", "empty")
    one = dataclasses.replace(context, profile=dataclasses.replace(context.profile, frames=1))
    found = roi.gather(one)
    effect = next(item for item in found.measurements if item.key == "roi.effect")
    assert (effect.value, effect.note) == (0, f"0 of {2 * len(CRFS)} encodes differ from the plain one")
    assert outcomes(found, one)["roi.effect"] is Outcome.FAIL


def test_a_clip_without_bd_rate_is_missing_and_not_left_out(folder: Path, rows: pd.DataFrame) -> None:
    context, rates = context_of(folder, "wrong", "right"), bd_rates(rows)
    gone = (rates["clip"] == "second") & (rates["arm"] == "right") & (rates["metric"] == roi.QUALITY)
    rates.loc[gone, "bd_rate"] = np.nan
    found, missing = roi._measurements(rows, rates, "wrong", "right", context)
    assert {item.key for item in found} == {"roi.effect", "roi.vmaf_gain"}
    assert missing["roi.bdrate_gain"] == "BD-rate is undefined on 1 of 2 clips (first: second)"
    assert outcomes(Evidence("roi", tuple(found), missing), context)["roi.centre_gain"] is Outcome.INCONCLUSIVE


def test_rates_that_do_not_overlap_leave_the_vmaf_gain_missing(folder: Path, rows: pd.DataFrame) -> None:
    far = rows.assign(kbps=rows["kbps"].where(rows["arm"] != "right", rows["kbps"] * 1000))
    context = context_of(folder, "wrong", "right")
    with pytest.warns(UserWarning, match="do not overlap"):
        found, missing = roi._measurements(far, bd_rates(rows), "wrong", "right", context)
    assert "roi.vmaf_gain" in missing
    assert "roi.vmaf_gain" not in {item.key for item in found}


def test_models_of_one_name_cannot_be_told_apart(folder: Path, tmp_path: Path) -> None:
    context = context_of(folder, "right", "right")
    assert "both models are called right" in roi.gather(context).missing["roi"]
