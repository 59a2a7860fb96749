"""One name for a map source in every command."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import InputError
from harness.files import sha256_of
from harness.models.registry import PRODUCTION, find_model
from harness.models.sources import CentrePrior, find_source
from tests.helpers.models import write_student


def test_a_name_becomes_a_source(tmp_path: Path) -> None:
    path = write_student(tmp_path / "mine.onnx")
    assert find_source("centre-prior") == CentrePrior()
    assert (find_source(str(path)).name, find_source(str(path)).digest) == ("mine", sha256_of(path))
    known = find_model(PRODUCTION)
    assert find_source(PRODUCTION) == find_source(known.name) and find_source(PRODUCTION).digest == known.sha256


def test_a_bad_file_is_refused_before_any_work(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_text("no graph\n")
    with pytest.raises(InputError, match=r"bad\.onnx"):
        find_source(str(bad))
    with pytest.raises(InputError, match=r"unknown model 'v9' .allowed: production, "):
        find_source("v9")
