"""`results/repeat` runs commands that exist, over every registered student."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import typer

from harness.cli.app import application
from harness.models.registry import entries, find_model
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
            if words[-1].endswith("whole-frame"):  # of what sees the whole frame; all are in the table above it
                assert {"saliency_student_v3", students()[-1]} <= set(words)
                continue
            if not {"--law", "--encoder"} & set(words):  # laws are shared; encoders are the newest's
                assert set(students()) <= set(words), shlex.join(words)
    assert Counter(words[1] for _, _, *words in lines if words[0] == "card") == Counter(e["id"] for e in entries())


def test_what_is_published_is_judged_again_and_the_newest_against_production(lines: list[list[str]]) -> None:
    gates = {(words[2], words[4]) for _, _, *words in lines if words and words[0] == "gate"}
    names = [path.parent.name for path in (ROOT / "results" / "gate").glob("v*-v*/verdict.json")]
    pairs = {tuple(f"saliency_student_{one}" for one in name.split("-")) for name in names}
    newest = (find_model("production").name, students()[-1])
    assert names and {pair for pair in gates if "upstream" not in pair[0]} == pairs | {newest} - {(newest[1],) * 2}


def test_the_goals_are_measured_as_they_are_published(lines: list[list[str]]) -> None:
    (words,) = [words for _, module, *words in lines if module == "benchmarks.goals"]
    assert [*words[2:8], words[-1]] == "--limit 500 --turns 5 --frames 40 results/speed".split()


GATE = f"""#!/bin/sh
for last; do :; done
case "$*" in
*"registry list"* | -c*) exec {shlex.quote(sys.executable)} "$@" ;;
*"results stale"*) exit "$STALE" ;;
*) [ -z "$WRITES" ] || echo "{{}}" > "$last/verdict.json"; echo "RUN ${{last##*/}}"; exit "$CODE" ;;
esac
"""


@pytest.mark.parametrize(
    ("stale", "code", "writes", "ends"),
    [
        (0, 9, "", 0),
        (1, 0, "yes", 0),
        (1, 1, "yes", 0),
        (1, 3, "yes", 0),
        (1, 1, "", 1),
        (1, 2, "yes", 2),
        (1, 143, "yes", 143),
    ],
)
def test_a_gate_that_failed_is_no_hold(stale: int, code: int, writes: str, ends: int, tmp_path: Path) -> None:
    production = find_model("production").name.rpartition("_")[2]
    python, pair = tmp_path / "python", f"v1-{students()[-1].rpartition('_')[2]}"
    python.write_text(GATE)
    python.chmod(0o755)
    for name in {pair, f"{production}-{pair[3:]}"}:
        folder = tmp_path / "results" / "gate" / name
        (folder / "evidence").mkdir(parents=True)
        (folder / "evidence" / "images.csv.gz").touch()
        (folder / "verdict.json").touch()
    shutil.copy(ROOT / "results" / "repeat", tmp_path / "results")
    environment = {
        "PYTHON": str(python),
        "PYTHONPATH": str(ROOT),
        "STALE": str(stale),
        "CODE": str(code),
        "WRITES": writes,
    }
    done = subprocess.run(
        [tmp_path / "results" / "repeat", "data", "gate"],
        env={**os.environ, **environment}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == ends, done.stderr
    assert (f"RUN {pair}" in done.stdout) == bool(stale)
    assert ("failed: exit 1 and no new verdict" in done.stderr) == (ends == 1)


def test_an_unknown_part_is_refused() -> None:
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(
        [ROOT / "results" / "repeat", "data", "accurcy"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2 and "unknown part accurcy (allowed: accuracy" in done.stderr
