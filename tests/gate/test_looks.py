"""A policy that looks at growing data: declared beforehand, refused where it cannot tell, stopped where it is clear."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from corpora.synth import ClipOptions, ImageOptions, write_clips, write_images
from harness.errors import HarnessError, InputError
from harness.gate import judge as judging
from harness.gate.context import Contender, Context
from harness.gate.data import chosen_clips, chosen_pairs
from harness.gate.evidence import keep_tables, read_tables
from harness.gate.judge import judge, refuse_unknown
from harness.gate.looks import at_look, at_share, looks_of
from harness.gate.pair import pair_table, read_pair
from harness.gate.policy import Policy, policy_of
from harness.gate.promote import findings, promote
from harness.gate.run import run_gate
from harness.gate.text import markdown
from harness.gate.verdict import Decision, Outcome, read_verdict, write_verdict
from harness.models.registry import Registry
from harness.sequential import look_levels
from tests.helpers.gate import POLICY, changed, pair_of, tiny_policy, two_students, winning_tables
from tests.helpers.promotion import CODE, COMMIT, decided, registry_of_three, side

FULL = POLICY.profile("full")


def with_looks(*shares: float, spending: str = "obrien-fleming", base: Policy = POLICY) -> Policy:
    content = json.loads(json.dumps(base.content))
    return policy_of(content | {"sequential": {"looks": list(shares), "spending": spending}})


TWO = with_looks(0.5, 1.0)
FIRST = replace(pair_of(), look=1)


def test_the_shipped_policy_looks_once_and_says_nothing_of_looks() -> None:
    verdict = judge(POLICY, winning_tables())
    assert looks_of(POLICY) == (None,) and at_look(POLICY, None) is POLICY
    assert verdict.look is None and "look" not in verdict.content()
    with pytest.raises(InputError, match=r"look 1 of policy policy-5 .allowed: none: it declares no looks"):
        judge(POLICY, [pair_table(FIRST, "harness gate")])


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (with_looks(0.5, 0.9), r"sequential.looks: \[0.5, 0.9\] .allowed: shares that grow to 1.0"),
        (with_looks(0.5, 0.5, 1.0), "shares that grow"),
        (with_looks(0.1, 1.0, spending="pocock"), "0.1 of 20 clips is 2 .allowed: shares of 3 clips or more"),
        (with_looks(0.25, 1.0), "at 0.25 of the data the error is 1.5e-05, and 10,000 resamples do not tell it"),
    ],
)
def test_looks_that_mean_nothing_are_refused_when_the_policy_is_read(policy: Policy, says: str) -> None:
    with pytest.raises(InputError, match=says):
        refuse_unknown(policy, FULL)


def test_a_look_is_over_a_part_that_no_model_has_a_say_in() -> None:
    half = at_share(FULL, 0.5, 0)
    assert len(half.clip_names) == 10 and half.pairs == {"duts-te": 2510, "ecssd": 500}
    assert list(half.clip_names) == [name for name in FULL.clip_names if name in half.clip_names]
    assert at_share(FULL, 0.5, 1).clip_names != half.clip_names != FULL.clip_names[:10]


def test_a_clear_case_stops_at_the_first_look_and_says_what_was_spent(tmp_path: Path) -> None:
    verdict = judge(TWO, winning_tables(FIRST, TWO))
    assert verdict.promotable and verdict.look is not None
    assert verdict.look.counts == {
        "duts-te": "2510 of 5019 pairs",
        "ecssd": "500 of 1000 pairs",
        "davis-2016": "10 of 20 clips",
    }
    level, *_ = look_levels((0.5, 1.0), 0.05, "obrien-fleming")
    assert verdict.look.level == pytest.approx(level) and verdict.look.spent == pytest.approx(0.00305, abs=1e-5)
    assert "Decided at look 1 of 2 (duts-te 2510 of 5019 pairs" in markdown(verdict)
    write_verdict(verdict, tmp_path / "verdict.json")
    assert read_verdict(tmp_path / "verdict.json").text() == verdict.text()


def test_half_of_the_data_passes_for_a_look_and_never_for_all() -> None:
    tables = winning_tables(FIRST, TWO)
    for look in (None, 2):
        again = judge(TWO, [pair_table(replace(FIRST, look=look), "harness gate"), *tables[1:]])
        assert {check.outcome for check in again.checks if check.group in ("accuracy", "feature", "roi")} == {
            Outcome.INCONCLUSIVE
        }


@pytest.mark.parametrize(("p_value", "passes"), [(0.0002, True), (0.002, False), (0.02, False)])
def test_holm_holds_over_looks(p_value: float, passes: bool) -> None:
    """Four primaries: .0002 at half of the data is .012 over both looks, and four times that is below .05."""
    tables = changed(winning_tables(FIRST, TWO), "eval.paired", lambda rows: rows.assign(p_value=p_value))
    found = [check for check in judge(TWO, tables).checks if check.primary and check.group == "accuracy"]
    assert {check.outcome is Outcome.PASS for check in found} == {passes}


def test_the_look_is_in_the_evidence_and_counts_when_a_verdict_promotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "commit", lambda: COMMIT)  # as when all of the tree is committed
    models = registry_of_three(tmp_path / "model")
    (models / "gate.toml").write_text('[sequential]\nlooks = [0.5, 1.0]\nspending = "obrien-fleming"\n')
    pair = replace(pair_of(side(models, "a"), side(models, "b")), look=1)
    file = decided(models, winning_tables(pair, TWO, CODE))
    assert read_pair(read_tables(file.parent / "evidence")).look == 1
    keep_tables([pair_table(replace(pair, look=2), "harness gate --candidate b")], file.parent / "evidence")
    with pytest.raises(HarnessError, match="does not follow from the tables"):
        promote("b", file, models)
    assert promote("b", decided(models, winning_tables(pair, TWO, CODE)), models).id == "b"
    assert all(found.problem is None for found in findings(models) if found.subject.startswith("verdict"))


def told(policy: Policy, models: Path, out: Path) -> tuple[Decision, list[str]]:
    lines: list[str] = []
    verdict = run_gate("old", "new", out, profile="demo", policy=policy, models=models, announce=lines.append)
    return verdict.decision, [line for line in lines if " at look " in line]


@pytest.mark.slow
def test_a_run_goes_on_to_the_next_look_only_while_nothing_is_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CORPORA", str(tmp_path / "no-corpora"))
    models, content = two_students(tmp_path), json.loads(json.dumps(with_looks(0.75, 1.0, base=tiny_policy()).content))
    content["profiles"]["demo"]["clip_names"] = ["00-still", "01-pan", "02-faint", "03-still"]
    content["profiles"]["demo"] |= {"accuracy": ["ecssd"], "pairs": {"ecssd": 1000}}
    decision, lines = told(policy_of(content | {"groups": ["contract"]}), models, tmp_path / "facts")
    assert decision is Decision.PROMOTE and len(lines) == 1 and lines[0].startswith("PROMOTE at look 1 of 2 ")
    without_a_set = policy_of(content | {"groups": ["contract", "accuracy"]})
    decision, lines = told(without_a_set, models, tmp_path / "open")
    assert decision is Decision.INCONCLUSIVE and [line.split(" (")[0] for line in lines] == [
        "INCONCLUSIVE at look 1 of 2",
        "INCONCLUSIVE at look 2 of 2",
    ]


def test_what_is_measured_at_a_look_is_what_the_order_says(tmp_path: Path) -> None:
    write_images(tmp_path, ImageOptions(4))
    write_clips(tmp_path, ClipOptions(4, 3, (64, 48)))
    content = json.loads(json.dumps(with_looks(0.75, 1.0, base=tiny_policy()).content))
    content["profiles"]["demo"]["clip_names"] = ["00-still", "01-pan", "02-faint", "03-still"]
    policy, registry = policy_of(content), Registry.read(two_students(tmp_path))
    old, new = (Contender.of(name, registry) for name in ("old", "new"))
    context = Context(old, new, policy, policy.profile("demo"), tmp_path / "out", registry=registry, look=1)
    part, whole = context.question.profile, context.profile
    assert [clip.name for clip in chosen_clips(context)] == list(part.clip_names) != list(whole.clip_names)
    assert len(chosen_pairs(context, "synth")) == part.pairs["synth"] == 3
