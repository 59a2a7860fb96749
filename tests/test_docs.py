"""What documentation shows is what happens: examples of docstrings, and the pages of docs/ on generated data."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

from corpora.synth import ClipOptions, ImageOptions, write_clips, write_images
from tests.helpers import ROOT
from tests.helpers.architecture import Tree

SHOWING = [name for name, path in Tree.read(ROOT).modules.items() if ">>> " in path.read_text(encoding="utf-8")]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOWING)
def test_examples_of_docstrings(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted and not found.failed


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", ["api.md"])
def test_examples_of_a_page(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ```python blocks, in order and in one session, in a folder that holds `corpora/synth` and `synth-clips`."""
    write_images(tmp_path / "corpora", ImageOptions(size=(96, 64)))
    write_clips(tmp_path / "corpora", ClipOptions(count=1, size=(160, 96), frames=6))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_CORPORA", raising=False)
    names: dict[str, object] = {}
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    assert blocks
    for block in blocks:
        line = text[: block.start()].count("\n") + 1
        example = doctest.DocTestParser().get_doctest(block[1], names, page, str(ROOT / "docs" / page), line)
        said: list[str] = []
        failed, attempted = doctest.DocTestRunner(optionflags=FLAGS).run(example, out=said.append, clear_globs=False)
        names = example.globs
        assert attempted and not failed, "".join(said)
