"""The command line answers at once: help, version and completion load nothing heavy, and -h works everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from harness.cli.app import COMMANDS
from harness.models.registry import entries
from harness.roi.encoders import ENCODERS
from tests.helpers import ROOT
from tests.helpers.commands import run

HEAVY = {
    "av", "bjontegaard", "corpora", "jinja2", "jsonschema", "matplotlib", "numpy", "onnx", "onnxruntime", "pandas",
    "PIL", "scipy", "torch", "train",
}  # fmt: skip
LOADED = """
import json, sys
from harness.cli.app import main
sys.argv = ["harness", *sys.argv[1:]]
try:
    main()
except SystemExit:
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""


def loaded(*words: str, **environment: str) -> set[str]:
    """Top-level names of what a fresh process has imported once it answered."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *words],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.stdout, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--version"], ["--help"], [], ["eval", "-h"], ["registry", "promote", "-h"]])
def test_an_answer_without_work_loads_nothing_heavy(words: list[str]) -> None:
    found = loaded(*words)
    assert "typer" in found and not found & HEAVY


@pytest.mark.slow
@pytest.mark.parametrize(
    "typed",
    ["harness ", "harness roi-sweep --", "harness eval --model ", "harness ladder --encoder "],
)
def test_completion_loads_nothing_heavy(typed: str) -> None:
    asked = {"_HARNESS_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split(" ")) - 1)}
    found = loaded(**asked)
    assert "typer" in found and not found & HEAVY


@pytest.mark.slow
def test_completion_knows_models_corpora_and_encoders() -> None:
    def offered(typed: str) -> list[str]:
        asked = {"_HARNESS_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
        done = subprocess.run(
            [sys.executable, "-m", "harness"], cwd=ROOT, capture_output=True, text=True, env={**os.environ, **asked}
        )
        return done.stdout.split()

    assert offered("harness eval --model sal") == [each["id"] for each in entries() if each["id"].startswith("sal")]
    assert "centre-prior" in offered("harness eval --model ") and "production" in offered("harness gate --candidate ")
    assert offered("harness corpora verify duts-") == ["duts-te", "duts-tr"] == offered("harness eval --corpus duts-")
    assert set(offered("harness roi-encode --encoder ")) == {
        one.name for one in ENCODERS.values() if one.route != "none"
    }


def test_the_version_loads_no_command() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "harness", "--version"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.startswith("harness ")
    assert "harness.cli.app" in done.stderr and "harness.cli.options" not in done.stderr


def test_importing_the_package_is_cheap() -> None:
    script = "import sys, harness; print(len([n for n in sys.modules if n.startswith('harness')]), harness.__version__)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[0]) <= 2


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    short, long = run(name, "-h"), run(name, "--help")
    assert (short.exit_code, short.stdout) == (0, long.stdout)
    assert "Example" in short.stdout or "Commands" in short.stdout
