"""Published tables are held against today's code, models and data; those of `results/` can say what wrote them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from corpora.loader import clip_digest, content_digest, listing_digest, load_clips, load_pairs
from harness.errors import HarnessError, InputError
from harness.gate.evidence import first_other, read_tables
from harness.gate.text import markdown
from harness.gate.verdict import read_verdict
from harness.jobs.provenance import code_of
from harness.models.registry import entry_for, register, sidecar_for
from harness.studies.published import export, moved_libraries, states
from harness.tables import Code, Table, published, read_table, write_table
from tests.helpers import ROOT
from tests.helpers.commands import run
from tests.helpers.models import write_student

CODE = code_of("harness.metrics.iou")
ROWS = pd.DataFrame({"model": ["s"], "value": [0.5]})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A registered student `s`, tiny corpora, and one table about both under `results`."""
    path = write_student(tmp_path / "s.onnx")
    entry = entry_for("s", path, "A student.", "")
    register(entry, sidecar_for(entry, {}), path, tmp_path / "model")
    for name in ("a", "b", "c"):
        for folder, suffix in (("images", "jpg"), ("masks", "png")):
            place = tmp_path / "corpora" / "ECSSD" / folder
            place.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), ord(name)).save(place / f"{name}.{suffix}")
    for folder in ("JPEGImages", "Annotations"):
        place = tmp_path / "corpora" / "DAVIS-2016" / folder / "480p" / "libby"
        place.mkdir(parents=True)
        Image.new("L", (8, 8), 200).save(place / "00000.png")
    root = tmp_path / "corpora"
    pairs = load_pairs("ecssd", root)
    data = {
        "ecssd": content_digest(pairs),
        "ecssd[:2]": content_digest(pairs[:2]),
        "ecssd listing": listing_digest(pairs),
        "davis-2016/libby": clip_digest(*load_clips("davis-2016", root)),
    }
    models = {"s": entry["sha256"], "centre-prior": "gaussian", "upstream_s": "0" * 64}
    write_table(
        Table("eval.numbers", "numbers", "Numbers", ROWS, "harness eval …", models, data, CODE), place_of(tmp_path)
    )
    return tmp_path


def place_of(project: Path) -> Path:
    return project / "results" / "accuracy"


def changed(project: Path, **changes: object) -> None:
    """The table written anew, with other fields."""
    table = read_table(place_of(project) / "numbers.csv")
    write_table(replace(table, **changes), place_of(project))  # type: ignore[arg-type]


def reasons(project: Path, **options: object) -> tuple[str, ...]:
    (state,) = states([project / "results"], models=project / "model", **options)  # type: ignore[arg-type]
    return state.stale


def test_a_table_of_todays_code_models_and_data_holds(project: Path) -> None:
    (state,) = states([project / "results"], data=True, root=project / "corpora", models=project / "model")
    assert (state.stale, state.libraries, state.unchecked) == ((), (), ())
    assert state.kind == "eval.numbers" and state.command == "harness eval …"


def test_changed_code_is_named_with_the_commit_that_had_it(project: Path) -> None:
    changed(project, code=replace(CODE, digest="0" * 64, commit="abcdef0123456789"))
    assert reasons(project) == ("the code of harness.metrics.iou has changed since abcdef0123",)
    changed(project, code=replace(CODE, module="harness.evaluate", commit=""))
    assert reasons(project) == ("harness.evaluate is gone",)
    changed(project, code=Code())
    assert reasons(project) == ("cannot say what wrote it: its record names no code",)


def test_a_model_that_was_trained_again_is_named(project: Path) -> None:
    path = write_student(project / "other.onnx", 3.0)
    entry = entry_for("s", path, "A student.", "")
    register(entry, sidecar_for(entry, {}), path, project / "model")
    assert reasons(project) == ("s is another file now",)


def test_a_table_must_speak_of_the_models_that_are_asked_for(project: Path) -> None:
    path = write_student(project / "t.onnx", 2.0)
    entry = entry_for("t", path, "Another.", "")
    register(entry, sidecar_for(entry, {}), path, project / "model")
    assert reasons(project, about=["s"]) == ()
    assert reasons(project, about=["s", "t"]) == ("does not speak of t",)
    with pytest.raises(InputError, match=r"unknown model 'u' \(allowed: s, t\)"):
        reasons(project, about=["u"])


def test_changed_data_is_found_when_asked_for_and_absent_data_is_told(project: Path) -> None:
    root = project / "corpora"
    Image.new("L", (8, 8), 1).save(root / "ECSSD" / "images" / "c.jpg")
    assert reasons(project) == ()
    assert reasons(project, data=True, root=root) == ("data ecssd is not what it was",), "the first two are the same"
    Image.radial_gradient("L").save(root / "ECSSD" / "masks" / "a.png")
    Image.new("L", (8, 8), 1).save(root / "DAVIS-2016" / "Annotations" / "480p" / "libby" / "00000.png")
    assert len(reasons(project, data=True, root=root)) == 4
    (state,) = states([project / "results"], data=True, root=project / "results", models=project / "model")
    assert state.stale == () and len(state.unchecked) == 4


def test_library_versions_are_told_apart(project: Path) -> None:
    changed(project, code=replace(CODE, versions={**CODE.versions, "numpy": "0.1"}))
    found = states([project / "results"], models=project / "model")
    assert found[0].stale == ()
    assert moved_libraries(found) == [f"numpy 0.1 -> {CODE.versions['numpy']} (1 table)"]


def test_tables_without_or_with_a_damaged_record_are_listed(project: Path) -> None:
    (place_of(project) / "alone.csv").write_text("a\n1\n")
    (place_of(project) / "numbers.csv").write_text("model,value\ns,0.9\n")
    alone, numbers = states([project / "results"], models=project / "model")
    assert alone.stale[0].startswith("cannot say what wrote it: ") and "no record" in alone.stale[0]
    assert "was changed after it was written" in numbers.stale[0]


def test_the_command_lists_them_and_its_exit_code_says_if_there_are_any(project: Path) -> None:
    asked = ["results", "stale", project / "results", "--models", project / "model"]
    good = run(*asked)
    assert good.exit_code == 0 and "1 tables, none out of date" in good.output
    changed(project, code=replace(CODE, digest="0" * 64))
    bad = run(*asked)
    assert isinstance(bad.exception, HarnessError) and bad.exception.exit_code == 1
    assert str(bad.exception) == "1 of 1 tables are out of date (repeat: the command in each)"
    assert "accuracy/numbers.csv: the code of harness.metrics.iou has changed" in bad.output
    (row,) = json.loads(run(*asked, "--json").stdout)["tables"]
    assert row["command"] == "harness eval …" and len(row["stale"]) == 1
    absent = run("results", "stale", project / "nowhere")
    assert "no such file" in str(absent.exception)


def test_tables_are_exported_as_json_and_latex(project: Path) -> None:
    table = place_of(project) / "numbers.csv"
    made = run("results", "export", table, "--format", "json", "--format", "tex", "--out", project / "paper")
    assert made.exit_code == 0, made.exception
    assert json.loads((project / "paper" / "numbers.json").read_text())["rows"] == [{"model": "s", "value": 0.5}]
    assert r"s & 0.5000 \\" in (project / "paper" / "numbers.tex").read_text()
    assert list(export([project / "results"], ["tex"])) == [table.with_suffix(".tex")]
    with pytest.raises(InputError, match=r"format 'xls' \(allowed: json, tex\)"):
        list(export([table], ["xls"]))
    write_table(read_table(table), project / "results" / "other")
    with pytest.raises(InputError, match="2 tables called numbers would go to"):
        list(export([project / "results"], ["tex"], project / "paper"))


PUBLISHED = list(published(ROOT / "results"))


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.relative_to(ROOT / "results").as_posix())
def test_every_committed_table_can_say_what_wrote_it(path: Path) -> None:
    table = read_table(path, with_rows=False)
    assert re.match(r"harness [a-z-]+( |$)|python (-m benchmarks\.|benchmarks/)\w+", table.command), table.command
    assert re.fullmatch(r"(harness|train|benchmarks)\.[\w.]+", table.code.module)
    assert re.fullmatch(r"[0-9a-f]{64}", table.code.digest) and re.fullmatch(r"[0-9a-f]{40}\+?", table.code.commit)
    assert {"numpy", "onnxruntime", "python"} <= table.code.versions.keys()
    assert table.models or table.kind == "speed.training", "only untrained networks have no file"


def test_every_file_of_rows_in_results_is_a_table_or_a_verdicts() -> None:
    assert PUBLISHED
    loose = {path for path in (ROOT / "results").rglob("*.csv*") if "evidence" not in path.parts} - set(PUBLISHED)
    assert not loose
    shown = {path.with_name(f"{read_table(path, with_rows=False).name}.md") for path in PUBLISHED}
    pages = [path for path in (ROOT / "results").rglob("*.md") if "evidence" not in path.parts]
    written = {path for path in pages if "```json" in path.read_text(encoding="utf-8")}
    assert written == shown, "a table's Markdown without its rows"


VERDICTS = sorted((ROOT / "results" / "gate").glob("*/verdict.json"))


@pytest.mark.slow
@pytest.mark.parametrize("path", VERDICTS, ids=lambda path: path.parent.name)
def test_every_committed_verdict_stands_on_the_tables_beside_it(path: Path) -> None:
    verdict, tables = read_verdict(path), read_tables(path.parent / "evidence")
    assert verdict.tables and first_other(verdict, tables) is None
    assert markdown(verdict) == (path.parent / "verdict.md").read_text(encoding="utf-8")
