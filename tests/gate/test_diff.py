"""What changed between two verdicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.gate import diff
from harness.gate.judge import judge
from harness.gate.verdict import write_verdict
from tests.helpers.commands import run
from tests.helpers.gate import NEW, POLICY, changed, pair_of, winning_tables, with_policy


def test_a_verdict_does_not_differ_from_itself() -> None:
    verdict = judge(POLICY, winning_tables())
    assert diff.about(verdict, verdict) == [] and diff.checks(verdict, verdict).empty
    assert len(diff.checks(verdict, verdict, every=True)) == len(verdict.checks)


def test_what_was_asked_otherwise_and_what_came_of_it_is_told() -> None:
    before = judge(POLICY, winning_tables())
    policy = with_policy(cost={"memory_ratio": 1.2})
    other = pair_of(new=replace(NEW, sha256="c" * 64), registered=False)
    tables = changed(winning_tables(other, policy), "cost.memory", lambda rows: rows.assign(peak_bytes=[100, 140]))
    after = judge(policy, tables)
    told = diff.about(before, after)
    assert "decision: PROMOTE → HOLD" in told
    assert "candidate: new bbbbbbbbbbbb → new cccccccccccc" in told
    assert "policy cost.memory_ratio: 1.5 → 1.2" in told
    assert "new: the candidate was given as a path: only a registered model can be promoted" in told
    assert len(told) == 4
    assert diff.checks(before, after).to_dict("records") == [
        {"check": "memory ratio", "before": "1 [1, 1]", "after": "1.4 [1.4, 1.4]", "outcome": "PASS → FAIL"}
    ]


def test_the_command_prints_it(tmp_path: Path) -> None:
    verdict = judge(POLICY, winning_tables())
    fewer = judge(POLICY, changed(winning_tables(), "cost.memory", lambda rows: None))
    for name, one in (("a", verdict), ("b", fewer)):
        write_verdict(one, tmp_path / f"{name}.json")
    done = run("gate", "diff", tmp_path / "a.json", tmp_path / "b.json")
    assert done.exit_code == 0, done.output
    assert "decision: PROMOTE → INCONCLUSIVE" in done.stdout and "PASS → INCONCLUSIVE" in done.stdout
    same = run("gate", "diff", tmp_path / "a.json", tmp_path / "a.json")
    assert "nothing differs" in same.stdout
