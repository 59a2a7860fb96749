"""The ROI group: from real encodes of small drawn clips, and on tables whose numbers are known."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from harness.gate.groups import roi
from harness.gate.judge import judge
from harness.gate.policy import Policy, policy_of
from harness.gate.run import run_gate
from harness.gate.verdict import Check, Outcome, Verdict
from harness.models.sources import CENTRE_PRIOR
from harness.tables import Table, read_table
from tests.helpers.commands import run
from tests.helpers.gate import POLICY, changed, winning_tables, with_policy
from tests.helpers.models import write_student

pytestmark = pytest.mark.slow

CRFS = [22, 27, 32, 37]
LAW: str = POLICY.content["roi"]["law"]


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


def policy(frames: int = 3, law: str = LAW) -> Policy:
    """The shipped rules of this group alone, on the two clips."""
    content = json.loads(json.dumps(POLICY.content))
    content["groups"] = ["roi"]
    content["roi"] |= {"crf": CRFS, "budgets": ["psnr_y=3"], "primary": ["psnr_y=3"], "allowance": 3.0}
    content["profiles"]["full"] |= {"frames": frames, "clip_names": ["first", "second"]}
    content["roi"] |= {"law": law}
    del content["power"]
    return policy_of(content)


def gate(folder: Path, old: str, new: str, frames: int = 3, law: str = LAW) -> Verdict:
    paths = [str(folder / f"{name}.onnx") for name in (old, new)]
    rules, models = policy(frames, law), folder / "model"
    return run_gate(
        *paths, folder / f"{old}-{new}", policy=rules, root=folder, models=models, workers=1, announce=lambda _: None
    )


@pytest.fixture(scope="module")
def verdict(folder: Path) -> Verdict:
    """The right map against the wrong one."""
    return gate(folder, "wrong", "right")


def outcomes(verdict: Verdict) -> dict[str, Outcome]:
    return {check.key: check.outcome for check in verdict.checks}


def test_the_right_map_gains_over_the_wrong_one_at_equal_cost(folder: Path, verdict: Verdict) -> None:
    values = {item.key: item for item in verdict.measurements}
    assert values["roi.effect"].value == 1 and values["roi.effect"].count == 2
    gain, over_prior = values["roi.gain.psnr_y=3"], values["roi.centre_gain.psnr_y=3"]
    assert gain.value > 5 and gain.count == 2 and gain.value > over_prior.value
    assert over_prior.p_value is not None and over_prior.null == 0
    assert outcomes(verdict)["roi.effect"] is Outcome.PASS
    rows = read_table(folder / "wrong-right" / "evidence" / "roi_at_cost_by_clip.csv").rows
    assert set(rows["arm"]) == {"right", "wrong", CENTRE_PRIOR}
    paid = rows[rows["bound"].isna() | (rows["bound"] == "")]["psnr_y_paid_%"]
    assert len(paid) and paid.to_numpy() == pytest.approx(3)  # everyone pays the same


def test_the_command_that_a_verdict_names_repeats_its_rows(folder: Path, verdict: Verdict) -> None:
    """It is taken by the command line itself, and makes the same jobs: the store has nothing left to do."""
    (line,) = (command for command in verdict.commands if command.startswith("harness roi-sweep"))
    store = folder / "wrong-right" / "jobs" / "roi"
    before = set(store.rglob("*"))
    done = run(*shlex.split(line)[1:], "--store", store)
    assert done.exit_code == 0, done.output
    assert set(store.rglob("*")) == before
    repeated = read_table(folder / "wrong-right" / "repeat" / "roi" / "roi_at_cost_by_clip.csv").rows
    kept = read_table(folder / "wrong-right" / "evidence" / "roi_at_cost_by_clip.csv").rows
    pd.testing.assert_frame_equal(repeated, kept)
    shown = kept.pivot(index="clip", columns="arm", values="gain_%")
    gain = next(item for item in verdict.measurements if item.key == "roi.gain.psnr_y=3")
    assert gain.value == pytest.approx((shown["right"] - shown["wrong"]).mean())


def test_a_map_that_moves_no_bits_fails_by_its_effect(folder: Path) -> None:
    found = gate(folder, "right", "empty", frames=2, law="map")
    effect = next(item for item in found.measurements if item.key == "roi.effect")
    assert (effect.value, effect.note) == (0, "0 of 0 steered encodes differ from the plain one, on 0 clips")
    assert outcomes(found)["roi.effect"] is Outcome.FAIL


def test_a_flat_map_under_a_law_that_adds_the_prior_does_not_beat_the_prior(folder: Path) -> None:
    found = gate(folder, "wrong", "empty", frames=2)
    assert outcomes(found)["roi.centre_gain.psnr_y=3"] is not Outcome.PASS


def check_of(tables: list[Table], key: str, policy: Policy = POLICY) -> Check:
    return next(check for check in judge(policy, tables).checks if check.key == key)


def test_the_wrong_map_is_held() -> None:
    def swapped(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(arm=rows["arm"].replace({"old": "new", "new": "old"}))

    gain = check_of(changed(winning_tables(), roi.GAINS, swapped), "roi.gain.vmaf=1")
    assert gain.outcome is Outcome.FAIL and gain.value == pytest.approx(-10, abs=0.1)


def test_an_encoder_that_does_not_repeat_is_said_in_the_note() -> None:
    said = "libx264 did not give the same bytes for the same input: a rerun may differ."
    tables = [replace(table, notes=(said,)) if table.kind == roi.POINTS else table for table in winning_tables()]
    found = [
        next(each for each in judge(POLICY, these).measurements if each.key == "roi.effect")
        for these in (tables, winning_tables())
    ]
    assert said in found[0].note and said not in found[1].note


def test_a_clip_without_a_gain_is_missing_and_not_left_out() -> None:
    def without(rows: pd.DataFrame) -> pd.DataFrame:
        here = (rows["clip"] == "dog") & (rows["arm"] == "new") & (rows["budget_%"] == 1)
        rows.loc[here, "gain_%"] = np.nan
        return rows

    tables = changed(winning_tables(), roi.GAINS, without)
    found = check_of(tables, "roi.centre_gain.vmaf=1")
    assert found.outcome is Outcome.INCONCLUSIVE and found.reason == "undefined on 1 of 20 clips (dog)"
    assert check_of(tables, "roi.centre_gain.vmaf=3").outcome is Outcome.PASS


def test_encodes_of_fewer_frames_clips_or_budgets_decide_nothing() -> None:
    longer = with_policy(roi={"frames": 30})
    assert (
        "was made with frames 104 (the policy asks for 30)" in check_of(winning_tables(), "roi.effect", longer).reason
    )
    tables = winning_tables()
    for kind in (roi.POINTS, roi.GAINS):
        tables = changed(tables, kind, lambda rows: rows[rows["clip"] != "libby"])
    assert check_of(tables, "roi.centre_gain.vmaf=1").reason == "partial: 19 of 20 items"
    cheap = changed(winning_tables(), roi.GAINS, lambda rows: rows[rows["budget_%"] > 0])
    assert check_of(cheap, "roi.gain.vmaf=1").reason.startswith("no gains at vmaf=0 (the policy asks for vmaf=0")


def test_an_allowance_is_one_for_all_budgets_or_one_for_each() -> None:
    def losing(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(**{"gain_%": rows["gain_%"] - 15.0 * (rows["arm"] == "new")})

    tables = changed(winning_tables(), roi.GAINS, losing)
    found = [check_of(tables, f"roi.gain.vmaf={percent}") for percent in (0, 1)]
    lost = found[0].value
    assert [each.value for each in found] == pytest.approx([lost, lost]) and lost == pytest.approx(-5, abs=0.2)
    each = with_policy(roi={"allowance": [6.0, 4.0, 4.0]})
    kept = changed(winning_tables(policy=each), roi.GAINS, losing)
    outcomes = [check_of(kept, f"roi.gain.vmaf={percent}", each).outcome for percent in (0, 1, 3)]
    assert outcomes == [Outcome.PASS, Outcome.FAIL, Outcome.FAIL]


def test_a_study_of_more_arms_laws_and_encoders_is_read_for_what_the_policy_asks() -> None:
    def more(rows: pd.DataFrame) -> pd.DataFrame:
        other = rows[rows["arm"].isin(["old", "new"])].assign(law="past:0.3")
        return pd.concat([rows, rows.assign(encoder="libx265"), other, rows[rows["arm"] == "new"].assign(arm="third")])

    plain = judge(POLICY, winning_tables())
    tables = changed(changed(winning_tables(), roi.POINTS, more), roi.GAINS, more)
    assert judge(POLICY, tables).measurements == plain.measurements


def test_models_of_one_name_cannot_be_told_apart(folder: Path) -> None:
    found = gate(folder, "right", "right")
    assert {check.outcome for check in found.checks} == {Outcome.INCONCLUSIVE}
    assert "right.onnx twice among the models (must differ)" in found.missing["roi"]
