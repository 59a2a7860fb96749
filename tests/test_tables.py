"""Tables come back from their files as they were written, and damaged ones are refused in one line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from harness.errors import InputError
from harness.files import write_text
from harness.tables import Code, Table, json_records, published, read_table, table_json, write_table

ROWS = pd.DataFrame(
    {
        "model": ["a", "=1+1", "'-x", "NA"],
        "working_size": ["256", "-", "native", "007"],
        "value": [1 / 3, float("nan"), -1e-300, float("inf")],
        "images": [1, -2, 3, 2**60],
        "steered": [True, False, True, True],
        "reason": ["", "line\nbreak", 'quoted "comma",', "é|<b>"],
        "none": [None] * 4,
    }
)
CODE = Code("harness.metrics", "c0de", "5eed+", {"numpy": "2"})
TABLE = Table(
    "eval.numbers", "numbers", "A <title>", ROWS, "harness eval `x`", {"a": "ab" * 32}, {"ecssd[:4]": "cd" * 32}, CODE,
    {"crf": [22, 27]}, ("note one", "mask > 128"),
)  # fmt: skip


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
@pytest.mark.parametrize("asked", ["csv", "md"])
def test_a_table_comes_back_as_it_was_written(tmp_path: Path, suffix: str, asked: str) -> None:
    rows, shown = write_table(TABLE, tmp_path, suffix)
    found = read_table(shown if asked == "md" else rows)
    expected = ROWS.astype({"none": float})
    pd.testing.assert_frame_equal(found.rows.astype(object), expected.astype(object), check_exact=True)
    for name in ("kind", "name", "title", "command", "models", "data", "code", "settings", "notes", "digits"):
        assert getattr(found, name) == getattr(TABLE, name), name
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]+\+00:00", found.written)
    assert list(published(tmp_path)) == [rows]


def test_writing_again_what_was_read_changes_no_byte(tmp_path: Path) -> None:
    before = [path.read_bytes() for path in write_table(TABLE, tmp_path / "a")]
    after = [path.read_bytes() for path in write_table(read_table(tmp_path / "a" / "numbers.csv"), tmp_path / "b")]
    assert after == before


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(max_size=12), min_size=1), name=st.text(min_size=1, max_size=8))
@pytest.mark.slow
def test_any_text_comes_back(tmp_path: Path, texts: list[str], name: str) -> None:
    rows = pd.DataFrame({name: pd.Series(texts, dtype=object), "n": 1.5})
    assume(name != "n" and "\r" not in name + "".join(texts))  # line ends are made one
    table = Table("a.b", "t", name, rows, name, {name: name}, notes=tuple(texts))
    found = read_table(write_table(table, tmp_path)[0])
    assert found.rows[name].tolist() == texts and (found.title, found.notes) == (name, tuple(texts))


def test_rows_are_cut_to_so_many_digits_where_a_table_asks(tmp_path: Path) -> None:
    rows = pd.DataFrame({"value": [1 / 3], "images": [123456789]})
    (path, _) = write_table(Table("eval.images", "images", "All", rows, "x", digits=6), tmp_path)
    assert path.read_text() == "value,images\n0.333333,123456789\n"


def test_markdown_shows_the_first_rows_of_a_long_table_and_says_so(tmp_path: Path) -> None:
    rows = pd.DataFrame({"n": range(201)})
    _, shown = write_table(Table("a.b", "long", "Long", rows, "x"), tmp_path)
    text = shown.read_text()
    assert "| 19 |\n" in text and "| 20 |" not in text
    assert "The first 20 of 201 rows; all are in `long.csv`." in text
    assert len(read_table(shown).rows) == 201


DAMAGES = {
    "a cell was changed": ("csv", lambda text: text.replace("0.333", "0.999"), "was changed after it was written"),
    "rows are missing": ("csv", lambda text: text.splitlines()[0] + "\n", "was changed after it was written"),
    "no record": ("md", lambda text: text.partition("<details>")[0], "no record of what wrote this table"),
    "no JSON": ("md", lambda text: text.replace('"kind"', "kind"), "is not JSON"),
    "nested too deep": ("md", lambda text: text.replace('"eval.numbers"', "[" * 100_000), "is not JSON"),
    "a list": ("md", lambda text: re.sub(r"```json.*```", "```json\n[]\n```", text, flags=re.S), "damaged"),
    "no models": ("md", lambda text: text.replace('"models"', '"moduls"'), "damaged"),
    "models as a list": ("md", lambda text: re.sub(r'"models": \{.*?\}', '"models": []', text, flags=re.S), "damaged"),
    "another kind of column": ("md", lambda text: text.replace('"truth"', '"beauty"'), "damaged"),
    "text as a number": ("md", lambda text: text.replace('"model": "text"', '"model": "number"'), "rows are damaged"),
    "a column less": ("md", lambda text: text.replace('  "steered": "truth",\n', ""), "rows are damaged"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_tables_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    write_table(TABLE, tmp_path)
    suffix, damage, said = DAMAGES[name]
    path = tmp_path / f"numbers.{suffix}"
    text = path.read_text()
    assert damage(text) != text
    write_text(path, damage(text))
    with pytest.raises(InputError, match=said) as error:
        read_table(tmp_path / "numbers.csv")
    assert "\n" not in str(error.value)


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    rows, shown = write_table(TABLE, tmp_path)
    rows.unlink()
    with pytest.raises(InputError, match="cannot read"):
        read_table(shown)
    shown.unlink()
    with pytest.raises(InputError, match="no record of what wrote this table"):
        read_table(rows)


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".x", "x\ny"])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="table name"):
        Table("a.b", name, "t", ROWS, "x")


@pytest.mark.parametrize("kind", ["numbers", "Eval.numbers", "eval.", ""])
def test_a_kind_is_a_study_and_what_its_rows_are(kind: str) -> None:
    with pytest.raises(InputError, match="table kind"):
        Table(kind, "t", "t", ROWS, "x")


def test_verdicts_keep_their_own_digests(tmp_path: Path) -> None:
    write_text(tmp_path / "v1-v2" / "verdict.json", "{}")
    write_text(tmp_path / "v1-v2" / "evidence" / "rows.csv", "a\n1\n")
    (found, _) = write_table(TABLE, tmp_path / "eval")
    assert list(published(tmp_path)) == [found]


def test_json_holds_nothing_that_strict_json_does_not() -> None:
    text = json.dumps(table_json(TABLE), allow_nan=False)
    assert json.loads(text)["rows"][1]["value"] is None
    assert json_records(pd.DataFrame({"x": [np.inf]})) == [{"x": None}]


def test_a_notebook_shows_a_table_and_runs_none_of_it() -> None:
    shown = TABLE._repr_html_()
    assert "<td>256</td>" in shown and "&lt;title&gt;" in shown and "<b>é" not in shown and "é|&lt;b&gt;" in shown
