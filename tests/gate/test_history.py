"""A model's numbers over verdicts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.gate.history import history_of
from harness.gate.judge import judge
from harness.gate.verdict import Verdict, write_verdict
from tests.helpers import ROOT
from tests.helpers.commands import run
from tests.helpers.gate import NEW, POLICY, changed, pair_of, winning_tables
from tests.helpers.schemas import checked

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def verdicts() -> dict[str, Verdict]:
    """Two of one candidate, the second with weights of its own and more memory, and one of another."""
    retrained = pair_of(new=replace(NEW, sha256="c" * 64))
    hungry = changed(winning_tables(retrained), "cost.memory", lambda rows: rows.assign(peak_bytes=[100, 900]))
    made = {
        "later": judge(POLICY, hungry),
        "first": judge(POLICY, winning_tables()),
        "other": judge(POLICY, winning_tables(pair_of(new=replace(NEW, id="other")))),
    }
    days = {"first": "2026-01-02T03:04:05+00:00", "later": "2026-02-03T04:05:06+00:00", "other": ""}
    return {name: replace(verdict, created=days[name]) for name, verdict in made.items()}


@pytest.fixture
def folder(tmp_path: Path, verdicts: dict[str, Verdict]) -> Path:
    """Those, a copy of one, and one of an earlier format."""
    for name, verdict in verdicts.items():
        write_verdict(verdict, tmp_path / "gate" / name / "verdict.json")
    shutil.copytree(tmp_path / "gate" / "first", tmp_path / "gate" / "copy")
    (tmp_path / "gate" / "old").mkdir()
    (tmp_path / "gate" / "old" / "verdict.json").write_text('{"schema_version": 1}')
    return tmp_path / "gate"


def test_each_verdict_is_a_row_the_oldest_first_with_the_primary_checks(folder: Path) -> None:
    found = history_of("new", [folder])
    rows = found.rows()
    assert rows["date"].tolist() == ["2026-01-02 03:04", "2026-02-03 04:05"]
    assert rows["decision"].tolist() == ["PROMOTE", "HOLD"] and rows["weights"].tolist() == ["b" * 8, "c" * 8]
    primary = [check.name for check in found.verdicts[0][1].checks if check.primary]
    assert rows.columns.tolist() == ["date", "weights", "against", "policy", "decision", *primary] and primary
    (reason,) = found.unread
    assert "old/verdict.json is not a verdict" in reason


def test_checks_are_chosen_by_name_or_key(folder: Path) -> None:
    rows = history_of("new", [folder], ["memory*", "cost.time*"]).rows()
    assert rows["memory ratio"].tolist() == ["1 [1, 1]", "9 [9, 9]"]
    assert len(rows.columns) > 6
    with pytest.raises(InputError, match=r"no check 'memry\*' \(allowed: a name or key, or a pattern of accuracy\."):
        history_of("new", [folder], ["memory*", "memry*"])


def test_what_is_not_there_is_refused_by_name(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says = r"no verdict about nobody in .*gate \(verdicts are about: new, other; 1 cannot be read: .*old"
    with pytest.raises(InputError, match=says):
        history_of("nobody", [folder])
    with pytest.raises(InputError, match=r"absent: no such folder \(allowed: folders in which verdicts lie\)"):
        history_of("new", [folder, tmp_path / "absent"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no verdict about new in results/gate, runs/gate .*: none that can be read"):
        history_of("new")


def test_the_command_prints_it_and_names_what_it_passed_over(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = run("gate", "history", "new", folder, "--check", "memory ratio")
    assert done.exit_code == 0, done.output
    assert "9 [9, 9]" in done.stdout and "other" not in done.stdout
    assert done.stderr.startswith("passed over: ") and done.stderr.count("\n") == 1
    (tmp_path / "results").mkdir()
    folder.rename(tmp_path / "results" / "gate")
    monkeypatch.chdir(tmp_path)
    done = run("gate", "history", "new", "--json")
    first, second = checked("gate-history", done.stdout)["verdicts"]
    assert first["path"] == "results/gate/copy/verdict.json" and first["decision"] == "PROMOTE"
    assert second["checks"] and all(check["primary"] for check in second["checks"])


def test_a_plot_shows_every_number_and_is_the_same_twice(folder: Path, tmp_path: Path) -> None:
    for name in ("one.svg", "one.png"):
        assert run("gate", "history", "new", folder, "--plot", tmp_path / name).exit_code == 0
    words = ["gate", "history", "new", str(folder), "--plot", str(tmp_path / "two.svg")]
    subprocess.run([sys.executable, "-m", "harness", *words], cwd=ROOT, check=True, capture_output=True)
    first = (tmp_path / "one.svg").read_text()
    names = {
        check.name for _, verdict in history_of("new", [folder]).verdicts for check in verdict.checks if check.primary
    }
    assert names and all(name in first for name in names)
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match=r"plot\.txt: no such picture \(allowed: \.png, \.svg, \.pdf\)"):
        history_of("new", [folder]).draw(tmp_path / "plot.txt")
    assert not (tmp_path / "plot.txt").exists()
