"""What a run folder says of itself is read by its schema, which asks for all that is used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra `train` is not installed")

from harness.errors import InputError
from tests.helpers import ROOT
from tests.helpers.runs import about
from train.history import read_about

PUBLISHED = sorted((ROOT / "results" / "train").glob("*/run.json"))
BEGUN = {"started_from": {"best_pt_sha256": "a", "started_from": {"best_pt_sha256": "b"}}}


def without_one() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key that export, average or table reads, and what lacks it."""
    for key in ("pairs", "listing_sha256", "versions"):
        yield key, {name: value for name, value in about().items() if name != key}
    for outer in ("machine", "recipe"):
        for key in (whole := about()[outer]):
            yield key, about(**{outer: {name: value for name, value in whole.items() if name != key}})
    yield "best_pt_sha256", about(started_from={"pairs": 32})
    yield "best_pt_sha256", about(started_from={"best_pt_sha256": "a", "started_from": {}})


@pytest.mark.parametrize(("key", "content"), list(without_one()))
def test_a_run_that_lacks_what_is_read_is_refused_in_one_line(
    key: str, content: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"run.json is not as training writes it: .*'{key}' is a required property"):
        read_about(tmp_path)


def test_a_whole_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(about(**BEGUN)))
    assert read_about(tmp_path)["started_from"] == BEGUN["started_from"]


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.parent.name)
def test_published_runs_are_read(path: Path) -> None:
    assert read_about(path.parent)["recipe"]["student"]
