"""A verdict for CI: what each format says of what passed, failed, stayed open and was not asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.errors import InputError
from harness.gate.evidence import keep_tables
from harness.gate.formats import FORMATS, STEP_SUMMARY, github, junit, rendered
from harness.gate.judge import judge
from harness.gate.text import markdown
from harness.gate.verdict import Outcome, Verdict
from tests.helpers.commands import run
from tests.helpers.gate import POLICY, changed, winning_tables


@pytest.fixture(scope="module")
def mixed() -> Verdict:
    """Memory fails, ROI is open, a native extractor was not there; names and reasons hold what formats must escape."""
    tables = changed(winning_tables(), "cost.memory", lambda rows: rows.assign(peak_bytes=[100, 900]))
    tables = changed(tables, "roi.at_cost_by_clip", lambda rows: None)
    verdict = judge(POLICY, tables)
    checks = [
        replace(check, reason='50 % over,\r\nsee: <a "b"> \x1b[0m') if check.outcome is Outcome.FAIL else check
        for check in verdict.checks
    ]
    missing = {**verdict.missing, "feature.native": "no native extractor & none asked for"}
    return replace(verdict, checks=tuple(checks), missing=missing, limits=("measured on a demo",))


def test_github_annotates_what_does_not_pass_and_tells_the_decision(mixed: Verdict) -> None:
    lines = github(mixed).splitlines()
    (failed,) = (line for line in lines if line.startswith("::error "))
    assert failed.startswith("::error title=FAIL%3A memory ratio::9 [9, 9] (high ≤ 1.5): 50 %25 over,%0D%0Asee: <a")
    open_checks = [check for check in mixed.checks if check.outcome is Outcome.INCONCLUSIVE]
    assert open_checks and sum(line.startswith("::warning title=INCONCLUSIVE%3A ") for line in lines) == len(
        open_checks
    )
    assert lines[-1].startswith("::notice title=HOLD::new against old: ")
    assert "%0Ameasured on a demo" in lines[-1] and len(lines) == len(open_checks) + 2


def test_github_appends_the_page_where_the_runner_asks(
    mixed: Verdict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "summary.md"
    page.write_text("before\n")
    monkeypatch.setenv(STEP_SUMMARY, str(page))
    assert rendered(mixed, "github") == github(mixed)
    assert page.read_bytes().decode() == "before\n" + markdown(mixed)
    rendered(mixed, "junit")
    assert page.read_bytes().decode() == "before\n" + markdown(mixed)
    monkeypatch.setenv(STEP_SUMMARY, str(tmp_path / "none" / "summary.md"))
    with pytest.raises(InputError, match="which GITHUB_STEP_SUMMARY names: No such file"):
        rendered(mixed, "github")


def test_junit_has_a_case_a_check_and_no_time(mixed: Verdict) -> None:
    root = ElementTree.fromstring(junit(mixed).encode())
    suite = root[0]
    cases = suite.findall("testcase")
    found = {kind: len(suite.findall(f"testcase/{kind}")) for kind in ("failure", "error", "skipped")}
    open_checks = sum(check.outcome is Outcome.INCONCLUSIVE for check in mixed.checks)
    assert found == {"failure": 1, "error": open_checks, "skipped": len(mixed.unchecked)} and mixed.unchecked
    assert len(cases) == len(mixed.checks) + len(mixed.unchecked) == int(suite.attrib["tests"])
    assert [suite.attrib[name] for name in ("failures", "errors", "skipped")] == [str(n) for n in found.values()]
    assert not any({"time", "timestamp"} & element.attrib.keys() for element in root.iter())
    (failure,) = suite.findall("testcase/failure")
    assert failure.attrib["type"] == "FAIL" and 'see: <a "b"> \ufffd[0m' in failure.attrib["message"]
    told = {one.attrib["name"]: one.attrib["value"] for one in suite.findall("properties/property")}
    assert told["decision"] == "HOLD" and told["limit"] == "measured on a demo" and told["digest"] == mixed.digest
    assert cases[0].attrib["classname"] == f"gate.{mixed.checks[0].group}"


def test_another_format_is_refused_by_name(mixed: Verdict) -> None:
    with pytest.raises(InputError, match=r"unknown format 'tap' \(allowed: markdown, github, junit\)"):
        rendered(mixed, "tap")


@pytest.mark.slow
def test_the_command_prints_each_and_exits_by_the_decision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(STEP_SUMMARY, raising=False)
    tables = changed(winning_tables(), "cost.memory", lambda rows: None)
    keep_tables(tables, tmp_path / "evidence")
    asked = ("gate", "--from", tmp_path / "evidence", "--out", tmp_path / "out")
    for form, begins in zip(FORMATS, ("# INCONCLUSIVE: new against old\n", "::warning title=", "<?xml "), strict=True):
        done = run(*asked, "--format", form)
        assert (done.exit_code, done.stdout[: len(begins)]) == (3, begins)
    assert run(*asked, "--format", "text").stdout == run(*asked).stdout
    assert "unknown format 'tap' (allowed: text, markdown" in str(run(*asked, "--format", "tap").exception)
    assert "two formats" in str(run(*asked, "--format", "junit", "--json").exception)
