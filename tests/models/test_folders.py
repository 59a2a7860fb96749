"""Beside an installed package no command changes what the package ships: the user's folder is written, and said."""

from __future__ import annotations

import logging
import shutil
import stat
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.files import sha256_of
from harness.models import folders
from harness.models.folders import model_folder, own_model_folder
from harness.models.placeholder import PLACEHOLDER_ID
from tests.helpers import ROOT
from tests.helpers.commands import run

LITTLE = f"{PLACEHOLDER_ID}.*"


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models of an installed package, read-only, with a home for the user."""
    folder = tmp_path / "site-packages/harness/shipped/model"
    shutil.copytree(ROOT / "model", folder)
    for path in folder.rglob("*"):
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    monkeypatch.setattr(folders, "PACKAGE", folder.parents[1])
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("HARNESS_MODELS", raising=False)
    return folder


def _content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256_of(path) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_whatever_writes_models_writes_the_user_s_folder(
    shipped: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before, users = _content(shipped), tmp_path / "data/harness/model"
    assert model_folder() == shipped and not users.exists()
    assert run("registry", "list").exit_code == 0 and not users.exists()  # reading copies nothing
    assert run("registry", "placeholder").stdout == f"wrote {users}/tiny/{PLACEHOLDER_ID}.onnx\n"
    assert f"the package's models stay as they are: {users} has a copy, used from now on" in caplog.text
    assert _content(users).keys() == before.keys() and model_folder() == users
    card = run("card", "saliency_student_v1", "--results", tmp_path)
    assert card.stdout == f"wrote {users}/cards/saliency_student_v1.md\n", card.output
    assert "is in production" in str(run("registry", "begin", "saliency_student_v1").exception)
    (users / "production.json").unlink()
    assert "is gone, but verdicts are on record" in str(run("registry", "begin", "saliency_student_v3").exception)
    shutil.rmtree(users / "verdicts")
    assert run("registry", "begin", "saliency_student_v3").exit_code == 0
    assert _content(shipped) == before
    changed = {name for name, digest in _content(users).items() if before[name] != digest}
    assert {"cards/saliency_student_v1.md", "production.json"} <= changed
    assert caplog.text.count("stay as they are") == 1


def test_a_folder_that_is_named_is_written_itself(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_MODELS", str(tmp_path / "mine"))
    assert model_folder() == own_model_folder() == tmp_path / "mine"


def test_a_home_that_is_a_file_is_one_line(shipped: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "data").write_text("no folder")
    assert model_folder() == shipped
    with caplog.at_level(logging.WARNING), pytest.raises(InputError, match="cannot write"):
        own_model_folder()
    assert not caplog.text
