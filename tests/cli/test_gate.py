"""`harness gate` as a user types it: no option is passed over without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import InputError
from tests.helpers.commands import run


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--json power V", "--json before power (allowed: after it, what it has itself)"),
        ("--candidate X --quiet diff A B", "--candidate and --quiet before diff"),
        ("--from F --incumbent X --profile demo", "--incumbent and --profile beside --from (allowed: --policy, and"),
        ("--from F --root R --workers 2", "--root and --workers beside --from"),
        ("--from F --candidate X --executor local", "--executor beside --from"),
        ("--from F --candidate X --incumbent Y", "F: no such folder of tables"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    words: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("gate", *words.split())
    assert isinstance(done.exception, InputError) and says in str(done.exception), done.output
    assert not any(tmp_path.iterdir())


def test_what_a_project_file_says_for_the_gate_stands_before_what_lies_under_it(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from harness.cli.app import application

    words, defaults = ["gate", "power", str(tmp_path / "none.json")], {"gate": {"root": "/data"}}
    done = CliRunner().invoke(application(words), words, default_map=defaults)
    assert "cannot read" in str(done.exception)
