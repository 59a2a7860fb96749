"""Outputs for scripts: each has a schema, is valid by it, and keeps what an earlier version promised."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpora.synth import ClipOptions, ImageOptions, write_clips, write_images
from harness.cli.app import whole_application
from tests.helpers import ROOT
from tests.helpers.commands import run
from tests.helpers.schemas import PROMISE, checked, names, promise, schema_of

V1 = ("--model", "saliency_student_v1")


def with_json() -> list[str]:
    """Every command that has `--json`, its words joined by dashes."""
    found, waiting = [], [((), whole_application())]
    while waiting:
        words, command = waiting.pop()
        waiting += [((*words, name), one) for name, one in getattr(command, "commands", {}).items()]
        if any("--json" in parameter.opts for parameter in command.params):
            found.append("-".join(words))
    return sorted(found)


def test_every_output_has_a_schema_and_every_schema_an_output() -> None:
    own = {name.removesuffix("-dry-run") for name in names()}
    assert sorted((own | {"gate"}) - {"event"}) == with_json()


@pytest.mark.parametrize("name", names())
def test_what_was_promised_is_kept_until_the_version_changes(name: str) -> None:
    """A place that was there is there, and no type came that a reader does not expect."""
    before, now = json.loads(PROMISE.read_text(encoding="utf-8"))[name], promise()[name]
    version = ".version" if name == "event" else ".schema_version"
    if now.get(version) == before.get(version):
        assert before.keys() <= now.keys()
        wider = {place for place in before if set(now[place].split(" or ")) - set(before[place].split(" or "))}
        assert not wider


def test_the_page_names_every_schema() -> None:
    page = (ROOT / "docs" / "scripts.md").read_text(encoding="utf-8")
    assert not [name for name in names() if f"`{name}`" not in page]


@pytest.mark.slow
def test_what_cheap_commands_print_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HARNESS_CORPORA", raising=False)
    small = ("--images", 2, "--size", "64x48", "--clips", 1, "--clip-size", "64x48", "--frames", 2)
    table = ROOT / "results" / "speed" / "roi.csv"
    for name, words in {
        "corpora-synth": ("corpora", "synth", tmp_path, *small),
        "corpora-list": ("corpora", "list", "--root", tmp_path),
        "corpora-verify": ("corpora", "verify", "synth", "--root", tmp_path),
        "config": ("config",),
        "registry-list": ("registry", "list"),
        "registry-verify": ("registry", "verify"),
        "results-stale": ("results", "stale", table),
        "gate-power": ("gate", "power", ROOT / "results" / "gate" / "v1-v4" / "verdict.json"),
        "eval": ("eval", "--corpus", "synth", "--root", tmp_path, *V1, "--model", "centre-prior", "--working-size", 32),
    }.items():
        checked(name, run(*words, "--json").stdout)


@pytest.mark.slow
def test_events_are_valid_and_tell_the_whole_story(tmp_path: Path) -> None:
    write_images(tmp_path, ImageOptions(4, (64, 48)))
    write_clips(tmp_path, ClipOptions(count=1, size=(64, 48), frames=2))
    words = ("eval", "--corpus", "synth", "--root", tmp_path, *V1, "--working-size", 32, "--progress", "json")
    told = [checked("event", line) for line in run(*words, "--out", tmp_path / "out").stderr.splitlines()]
    measuring = [one for one in told if one.get("stage") == "measuring"]
    assert [one["event"] for one in measuring] == ["begin", "progress", "end"]
    assert [one["done"] for one in measuring] == [0, 4, 4] and measuring[0]["unit"] == "images"
    assert told[0]["event"] == "begin" and "files in" in told[-1]["text"]
    wrong = run("eval", "--corpus", "synth", "--root", tmp_path, "--model", "nothing", "--progress", "json")
    (error,) = [checked("event", line) for line in wrong.stderr.splitlines()]
    assert (wrong.exit_code, error["event"], error["exit_code"]) == (2, "error", 2) and "nothing" in error["text"]


def test_the_verdict_has_its_own_schema() -> None:
    assert schema_of("gate")["properties"]["schema_version"]
