"""`results/repeat` runs commands that exist, over every registered student."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import typer

from harness.cli.app import application
from harness.models.registry import entries
from tests.helpers import ROOT

pytestmark = pytest.mark.slow
PYTHON = f"""#!/bin/sh
case "$*" in
*"registry list"* | -c*) exec {shlex.quote(sys.executable)} "$@" ;;
*) printf 'RUN'; for word in "$@"; do printf ' "%s"' "$word"; done; echo ;;
esac
"""


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """The words of every command that a forced repetition of all parts would run, from `-m` on."""
    folder = tmp_path_factory.mktemp("repeat")
    python = folder / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    for name in ("upstream_saliency_student_v1.onnx", "clip.upstream_v1.json", "clip.mp4"):
        (folder / name).touch()
    environment = {"FORCE": "1", "PYTHON": str(python), "UPSTREAM": str(folder), "GOLDEN": str(folder)}
    done = subprocess.run(
        [ROOT / "results" / "repeat", str(folder)],
        env={**os.environ, **environment}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [shlex.split(line)[1:] for line in done.stdout.splitlines() if line.startswith("RUN ")]


def students() -> list[str]:
    return [entry["id"] for entry in entries() if not entry.get("smoke")]


def test_every_command_line_is_one_that_the_command_takes(lines: list[list[str]]) -> None:
    root = typer.main.get_command(application())
    for _, module, *words in lines:
        if module != "harness":
            assert (ROOT / Path(*module.split("."))).with_suffix(".py").is_file(), module
            continue
        command, words = root, list(words)
        while command is root or words[0] in getattr(command, "commands", ()):  # `gate` is a command and a group
            command = command.commands[words.pop(0)]
        command.make_context(command.name, words).close()


def test_all_students_are_side_by_side_in_one_run(lines: list[list[str]]) -> None:
    for command in ("eval", "ladder", "roi-sweep", "validate"):
        found = [words for _, module, *words in lines if module == "harness" and words[0] == command]
        assert found
        for words in found:
            if not {"--law", "--encoder"} & set(
                words
            ):  # laws are shared by all; other encoders are asked of the newest two
                assert set(students()) <= set(words), shlex.join(words)
    assert Counter(words[1] for _, _, *words in lines if words[0] == "card") == Counter(e["id"] for e in entries())


def test_each_student_is_judged_against_the_one_before_it(lines: list[list[str]]) -> None:
    gates = {(words[2], words[4]) for _, _, *words in lines if words and words[0] == "gate"}
    assert gates >= set(zip(students(), students()[1:], strict=False))


def test_an_unknown_part_is_refused() -> None:
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(
        [ROOT / "results" / "repeat", "data", "accurcy"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2 and "unknown part accurcy (allowed: accuracy" in done.stderr
