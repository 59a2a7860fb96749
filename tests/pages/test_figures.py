"""Pictures: equal content is an equal file, and one place writes them all."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from harness.errors import InputError
from harness.pages.figures import save_figure
from tests.helpers import ROOT


def drawn() -> Figure:
    """A figure whose line is clipped: the clip's id is what matplotlib makes up."""
    figure = Figure(figsize=(1, 1))
    figure.subplots().plot([0, 1], [0, 1])
    return figure


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_equal_content_is_an_equal_file(suffix: str, tmp_path: Path) -> None:
    one, two = (save_figure(drawn(), tmp_path / f"{name}{suffix}").read_bytes() for name in ("one", "two"))
    assert one == two
    assert b"<dc:date>" not in one and b"CreationDate" not in one


def test_a_place_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it is a folder"):
        save_figure(drawn(), tmp_path)


def test_nobody_else_writes_figures() -> None:
    sources = [path for package in ("harness", "train", "corpora") for path in (ROOT / package).rglob("*.py")]
    assert [path.name for path in sources if ".savefig(" in path.read_text(encoding="utf-8")] == ["figures.py"]
