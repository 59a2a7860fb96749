"""What documentation shows is what happens: docstrings' examples, the pages of docs/, what they say to type."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from corpora.synth import ClipOptions, ImageOptions, write_clips, write_images
from harness.cli.app import application
from tests.helpers import ROOT
from tests.helpers.architecture import Tree
from tests.helpers.commands import run

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


PAGES = (
    "README.md", "docs/ci.md", "docs/trust.md", "docs/gate.md", "docs/tutorial.md", "docs/own-pictures.md",
    "docs/own-model.md", "docs/cluster.md", "docs/scripts.md", "docs/settings.md", "docs/release.md", "docs/index.md",
)  # fmt: skip
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def _typed(page: str) -> list[str]:
    """What a page tells its reader to type: `harness …` in code, one command each."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.split(" #")[0] for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`(harness [^`]*)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    found = [re.search(r"(?:^|\s)harness ([a-z].*)", line) for line in lines]
    return [match[1] for match in found if match]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_says_to_type_exists(page: str) -> None:
    typed = _typed(page)
    assert typed
    for line in typed:
        name, *rest = line.split()
        known = getattr(typer.main.get_command(application([name])).commands[name], "commands", {})  # type: ignore[attr-defined]
        word = rest[0] if rest and re.fullmatch("[a-z-]*[a-z]", rest[0]) and not rest[0].startswith("-") else None
        assert not known or word is None or word in known, line
        assert not known or "\\|" not in rest or set(rest[::2]) <= set(known), line
        said = run(*([name, word] if word in known else [name]), "--help")
        assert said.exit_code == 0, line
        assert not [option for option in OPTION.findall(line) if option not in said.output], line


@pytest.mark.slow
def test_the_pages_are_a_site(tmp_path: Path) -> None:
    """Strict: a page that is not in the navigation, or a link that leads nowhere, is an error."""
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    commands = (tmp_path / "reference" / "cli.html").read_text(encoding="utf-8")
    assert "--offset-frames" in commands and "harness registry rollback" in commands
    functions = (tmp_path / "reference" / "python.html").read_text(encoding="utf-8")
    assert "roi_at_cost" in functions and "Raises" in functions
    assert not re.search(r'(?:src|href)="https?://fonts', (tmp_path / "index.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("answer", "committed", "code"),
    [(0, True, 0), (1, True, 1), (3, True, 3), (0, False, 0), (1, False, 1), (2, False, 2), (3, False, 0)],
)
def test_the_job_of_the_ci_page_is_green_and_red_as_it_says(
    answer: int, committed: bool, code: int, tmp_path: Path
) -> None:
    yaml = pytest.importorskip("yaml")
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    job = yaml.safe_load(re.search(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[1])  # type: ignore[index]
    (step,) = (step for step in job["jobs"]["gate"]["steps"] if step.get("shell") == "bash")
    for name, does in (
        ("git", "echo model/tiny/new.onnx"),
        ("harness", f'echo "$@" >> {tmp_path / "asked"}; exit {answer}'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    if committed:
        (tmp_path / "results/gate/new/evidence").mkdir(parents=True)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "BASE": "origin/main"}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False)
    asked = (tmp_path / "asked").read_text()
    assert done.returncode == code
    assert "--candidate new" in asked and ("--from results/gate/new/evidence" in asked) == committed
    assert ("--profile demo" in asked) != committed
