"""`harness.toml`: found upwards, checked whole, overruled by flags and variables, shown by `harness config`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.app import COMMANDS, whole_application
from harness.cli.project import Setting, defaults, find_project_file, settings, shared_options
from harness.errors import InputError
from tests.helpers import ROOT

FILE = """
encoder = "libx265"
root = "data"
[roi-encode]
budget = "vmaf=2"
encoder = "kvazaar"
[corpora.verify]
root = "/elsewhere"
[gate]
policy = "strict.toml"
"""


def harness(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *words],
        cwd=folder, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
    )  # fmt: skip


@pytest.fixture
def inner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("HARNESS_CORPORA", raising=False)
    (tmp_path / "harness.toml").write_text(FILE)
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    return folder


def found_in(folder: Path) -> list[Setting]:
    project = find_project_file(folder)
    assert project
    return settings(project, whole_application(), COMMANDS)


def test_each_command_gets_its_own_and_then_what_is_for_all(inner: Path) -> None:
    found = {(one.command, one.option): one.value for one in found_in(inner)}
    assert found["roi-sweep", "encoder"] == ["libx265"]  # may be repeated there
    above = inner.parent.parent
    assert found["roi-encode", "encoder"] == "kvazaar" and found["ladder", "encoder"] == "libx265"
    assert found["roi-encode", "budget"] == "vmaf=2"
    assert found["corpora verify", "root"] == "/elsewhere" and found["corpora list", "root"] == str(above / "data")
    assert found["gate", "policy"] == str(above / "strict.toml") and ("gate recheck", "policy") not in found
    assert ("results stale", "root") not in found  # there it asks for more work
    nested = defaults(found_in(inner), whole_application())
    assert nested["gate"]["policy"] == str(above / "strict.toml")
    assert nested["gate"]["recheck"] == {"root": str(above / "data")}


def test_the_nearest_file_holds_and_none_is_fine(inner: Path) -> None:
    (inner / "harness.toml").write_text('encoder = "libsvtav1"\n')
    assert {one.option for one in found_in(inner)} == {"encoder"}
    assert find_project_file(Path("/")) is None


@pytest.mark.slow
def test_a_flag_and_a_variable_win(inner: Path) -> None:
    set_by_file = harness(inner, "roi-encode", "none.y4m")
    assert set_by_file.returncode == 2 and "sets --budget, --encoder (harness config)" in set_by_file.stderr
    bad = harness(inner, "corpora", "verify", "ecssd")
    assert bad.returncode == 2 and "/elsewhere: no such folder" in bad.stderr
    flag = harness(inner, "corpora", "verify", "ecssd", "--root", "/other")
    assert "/other: no such folder" in flag.stderr
    shown = json.loads(harness(inner, "config", "--json", HARNESS_CORPORA="/x").stdout)
    assert shown["file"] == str(inner.parent.parent / "harness.toml")
    rows = {(row["command"], row["option"]): row["overruled_by"] for row in shown["settings"]}
    assert rows["eval", "root"] == "HARNESS_CORPORA" and rows["ladder", "encoder"] is None
    assert "/x" in harness(inner, "corpora", "verify", "ecssd", HARNESS_CORPORA="/x").stderr


@pytest.mark.slow
def test_config_shows_the_file(inner: Path) -> None:
    shown = harness(inner, "config").stdout
    assert "roi-encode --budget vmaf=2" in shown and "gate --policy" in shown
    (inner.parent.parent / "harness.toml").unlink()
    assert harness(inner, "config").stdout.startswith("no harness.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("encodr = 1", "'encodr' is no option of several commands"),
        ("keys = 'mine'", "'keys' is no option of several commands"),  # whom to trust is not for a folder to say
        ("[roi-encod]\ncrf = 1", r"\[roi-encod\] is no command"),
        ("[roi-encode]\ncrfs = 1", r"\[roi-encode\] 'crfs' is no option of it"),
        ("[corpora]\nverify = 3", r"corpora.verify is a value"),
        ("encoder =", "is not TOML"),
        ("root = 5", r"toml: root = 5 .allowed: a path, as text"),
        ("root = true", "root = True .allowed: a path"),
        ("[ladder]\nout = 3", r"\[ladder\] out = 3 .allowed: a path, as text"),
        ("[ladder]\nevery = 2.5", r"\[ladder\] every = 2.5 .allowed: a whole number"),
        ("[ladder]\ncrf = [22, true]", r"\[ladder\] crf = True .allowed: a whole number, or a list of such"),
        ("[ladder]\nout = ['a', 'b']", r"\[ladder\] out is a list .allowed: a path, as text"),
        ("[eval]\nquiet = 1", r"\[eval\] quiet = 1 .allowed: text, true or false"),
        ("[roi-encode]\nstrength = 2026-01-01", r"\[roi-encode\] strength = .*allowed: text, or a number"),
        ("[corpora.veryfy]\nroot = 'x'", r"\[corpora.veryfy\] is no command .allowed: fetch, list, synth, verify"),
        ("[gate.dif]\nall = true", r"\[gate.dif\] is no command .allowed: diff, "),
        ("[corpora]\nroot = 'x'", r"\[corpora\] 'root' is no command .allowed: fetch, list, synth, verify"),
        ("[eval.corpus]\nroot = 'x'", r"\[eval.corpus\] is no command .allowed: options of eval, no table"),
        ("[gate.diff.x]\nroot = 'x'", r"\[gate.diff.x\] is no command .allowed: options of gate diff, no table"),
    ],
)
def test_what_the_file_may_not_say_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "harness.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        found_in(tmp_path)


def test_one_value_a_number_and_text_are_read_as_a_flag_would_be(tmp_path: Path) -> None:
    (tmp_path / "harness.toml").write_text("[ladder]\ncrf = 20\nevery = '2'\n[roi-encode]\nstrength = 6\ncrf = 28\n")
    found = {(one.command, one.option): one.value for one in found_in(tmp_path)}
    assert found["ladder", "crf"] == [20] and found["ladder", "every"] == "2"
    assert found["roi-encode", "strength"] == 6 and found["roi-encode", "crf"] == 28


def test_shared_options_are_those_of_the_options_module() -> None:
    assert {"root", "encoder", "executor", "policy", "model"} <= shared_options()
    assert not shared_options() & {"keys", "json", "help"}
