"""Pages of studies: all in one file, every value escaped; and the same parts in a notebook."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pandas as pd
import pytest

from harness.errors import InputError
from harness.pages.charts import line_chart
from harness.pages.page import Picture, fragment, picture, rows_of, write_study
from harness.tables import Code, Table

EVIL = "<script>alert(1)</script>"
ROWS = pd.DataFrame({"model": [EVIL, "b"], "value": [0.25, float("nan")]})
CHART = line_chart(EVIL, "x", "y", [(EVIL, 0, [(0.0, 1.0), (1.0, float("inf")), (2.0, 3.0)])])


def study(folder: Path) -> str:
    """The page of a table whose every text is markup."""
    code = Code("harness.studies", "0" * 64, "", {"numpy": EVIL})
    table = Table("a.b", "a", EVIL, ROWS, EVIL, {EVIL: EVIL}, {EVIL: EVIL}, code, {"s": EVIL}, (EVIL,))
    many = Table("a.c", "many", EVIL, pd.DataFrame({EVIL: range(300)}), EVIL)
    path = write_study(folder / "p.html", EVIL, [table, table, many], {"Curves": [CHART]}, [Picture("data:,", EVIL)])
    return path.read_text(encoding="utf-8")


def test_a_page_holds_everything_escaped_and_fetches_nothing(tmp_path: Path) -> None:
    page = study(tmp_path)
    assert "alert(1)" in page and EVIL not in page
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page and "default-src 'none'" in page
    addresses = re.findall(r"""(?:src|href)=["']?([^"'>\s]+)""", page) + re.findall(r"url\(([^)]*)\)", page)
    assert addresses and all(address.startswith("data:") for address in addresses)
    assert not re.search(r"<[^>]+\son[a-z]+=|style=", page)  # both would need a wider policy
    assert "300 rows" in page and ">299<" not in page
    assert page == study(tmp_path)


def test_a_notebook_gets_the_same_parts_escaped_and_no_script() -> None:
    shown = fragment(EVIL, [rows_of(EVIL, ROWS, 1)], [CHART], [Picture("data:,", EVIL)], [EVIL])
    assert "alert(1)" in shown and "<script" not in shown and "<style" not in shown
    assert "<svg" in shown and "The first 1 of 2 rows" in shown


def test_more_lines_than_colours_are_told_apart_by_dashes() -> None:
    shown = fragment("t", charts=[line_chart("t", "x", "y", [(str(n), n, [(0.0, 1.0)]) for n in range(13)])])
    assert shown.count('stroke-dasharray="7 3" points') == 6 and shown.count('stroke-dasharray="2 3" points') == 1


def test_points_without_a_number_are_left_out() -> None:
    assert [len(points.split()) for _, _, points in CHART.lines] == [2]


def test_a_picture_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read picture .*a\.png"):
        picture(tmp_path / "a.png", "a")
