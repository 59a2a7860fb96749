"""Text in tables stays text: in Markdown, in a spreadsheet, in LaTeX."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pandas as pd
import pytest

from harness.cells import cell, code_span, csv_text, escaped, guarded, latex, markdown, plain, unguarded

HOSTILE = {
    "html": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "comment": "<!-- hidden",
    "closing": "</details><h1>",
    "newline": "a\n\n# heading",
    "returns": "a\r\nb\rc\x85d\u2028e",
    "pipe": "a|b",
    "escaped pipe": "a\\|b",
    "link": "[x](javascript:alert(1))",
    "picture": "![x](http://tracker/)",
    "escape": "\x1b[31mred\x07",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_cell_of_markdown_is_one_cell_of_text(name: str) -> None:
    table = markdown(pd.DataFrame({HOSTILE[name]: [HOSTILE[name], "next"]}))
    lines = table.split("\n")
    assert len(lines) == 4 and table.isprintable() is False and "".join(lines).isprintable()
    assert not re.search(r"<[A-Za-z/!?]", table)
    assert "](" not in table.replace("]\\(", "")
    for line in lines:
        inner = line.removeprefix("| ").removesuffix(" |")
        assert not re.search(r"(?<!\\)(\\\\)*\|", inner), "a pipe would end the cell"


def test_what_is_harmless_is_not_touched() -> None:
    for text in ("mask > 128", "a < b", "0.612 [0.600, 0.624]", "x & y", "val_iou_mean@0.5 (per image)", "±"):
        assert escaped(text) == plain(text) == text
    assert cell(0.25) == "0.2500" and cell(np.float32(2000)) == "2000.0" and cell(None) == cell(float("nan")) == "–"


@pytest.mark.parametrize("text", ["a", "a`b", "``", "`", "x\ny"])
def test_code_marks_end_where_the_code_does(text: str) -> None:
    marks, body, end = re.fullmatch(r"(`+)(.*?)(`+)", code_span(text)).groups()  # type: ignore[union-attr]
    assert marks == end and marks not in re.findall("`+", body)


FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\n=1", "-x264", "'=1", "=", "''+x"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_spreadsheet_runs_no_text(text: str) -> None:
    written = csv_text(pd.DataFrame({text: [text]}))
    (header,), (value,) = csv.reader(io.StringIO(written, newline=""))
    for found in (header, value):
        assert found == f"'{text}" and unguarded(found) == text


def test_a_carriage_return_ends_no_row() -> None:
    written = csv_text(pd.DataFrame({"a": ["x\r=1", "y\r\nz"], "b": ["\r=1", ""]}))
    assert list(csv.reader(io.StringIO(written, newline=""))) == [["a", "b"], ["x\n=1", "'\n=1"], ["y\nz", ""]]


def test_numbers_stay_numbers() -> None:
    numbers = pd.DataFrame({"value": [-0.5, 1e-7], "text": ["-0.5", "+3"], "dash": ["-", "a"]})
    assert csv_text(numbers) == "value,text,dash\n-0.5,-0.5,-\n1e-07,+3,a\n"


@pytest.mark.parametrize("text", ["'", "'a", "a=b", "", "-", "'-", "''", "-1e5"])
def test_other_text_comes_back_too(text: str) -> None:
    assert unguarded(guarded(text)) == text


def test_latex_prints_every_character_and_obeys_none() -> None:
    text = r"\input{x} $a^b~c$ 5% & #1_2 <x>" + "\n"
    table = latex(pd.DataFrame({"x": [text]}))
    row = table.split("\\midrule\n")[1].split(r" \\")[0]
    assert row == (
        r"\textbackslash{}input\{x\} \$a\textasciicircum{}b\textasciitilde{}c\$ 5\% \& \#1\_2 "
        r"\textless{}x\textgreater{}"
    )
    assert r"\textbackslash{}input" in latex(pd.DataFrame({r"\input": [1]}))
