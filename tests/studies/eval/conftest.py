"""The toy set of discs that the tests of evaluations share."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpora.loader import pairs_in
from tests.helpers.discs import write_discs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_discs(tmp_path_factory.mktemp("set"))


@pytest.fixture
def pairs(folder: Path) -> dict:
    return {"discs": pairs_in(folder / "images", folder / "masks")}
