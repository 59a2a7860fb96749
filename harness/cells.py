"""Rows as text that can only be read as text: Markdown, CSV and LaTeX in which no cell becomes code."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_FORMULA = re.compile(r"'*[=+\-@\t\n]")
_NUMBER = re.compile(r"-|[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def kind_of(column: pd.Series) -> str:
    """`text`, `integer`, `number` or `truth`; a column that misses all its values is of numbers."""
    if pd.api.types.is_bool_dtype(column):
        return "truth"
    if pd.api.types.is_integer_dtype(column) and not column.isna().any():
        return "integer"
    present = column.dropna()
    if pd.api.types.is_numeric_dtype(column) or all(_is_number(value) for value in present):
        return "number"
    return "text"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def csv_text(rows: pd.DataFrame, digits: int | None = None) -> str:
    """Rows as CSV: every digit of numbers, or so many significant ones; text that a spreadsheet would run is guarded.

    >>> csv_text(pd.DataFrame({"model": ["=1+1", "-"], "gain": [-0.1, 2.0]}))
    "model,gain\\n'=1+1,-0.1\\n-,2.0\\n"
    """
    safe = rows.copy()
    for name in rows:
        if kind_of(rows[name]) == "text":
            safe[name] = rows[name].map(lambda value: value if _missing(value) else guarded(str(value)))
    safe.columns = pd.Index([guarded(str(name)) for name in rows])
    return safe.to_csv(index=False, lineterminator="\n", float_format=f"%.{digits}g" if digits else None)


def guarded(text: str) -> str:
    r"""Text as a CSV cell: what a spreadsheet would take for a formula gets an apostrophe; numbers and a dash do not.

    Line ends become `\n`: a bare `\r` would end the row.

    >>> guarded("=cmd|' /C calc'!A0"), guarded("-1.5"), guarded("-")
    ("'=cmd|' /C calc'!A0", '-1.5', '-')
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unguarded(text: str) -> str:
    """What `guarded` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def markdown(rows: pd.DataFrame) -> str:
    """A GitHub table; floats with four decimals, missing values as a dash, text that can only be read as text.

    >>> print(markdown(pd.DataFrame({"model": ["a"], "mae": [0.25]})))
    | model | mae |
    | --- | --- |
    | a | 0.2500 |
    """
    lines = [[escaped(str(name)) for name in rows.columns], ["---"] * len(rows.columns)]
    lines += [[escaped(cell(value)) for value in row] for row in rows.itertuples(index=False, name=None)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(value: Any) -> str:
    """One value as a table shows it."""
    if _missing(value):
        return "–"
    if isinstance(value, (float, np.floating)):
        return f"{value:.4f}" if abs(float(value)) < 1000 else f"{value:.1f}"
    return str(value)


def readable(value: float) -> str:
    """A number as people read it: about three digits that count.

    >>> readable(0.01234), readable(12.345), readable(1234.5)
    ('0.0123', '12.3', '1234')
    """
    if abs(value) < 1 and round(value, 4):
        return f"{value:.4f}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def plain(text: str) -> str:
    """Text for one line of Markdown: no raw HTML, no line breaks.

    >>> plain("mask > 128, <img src=x>")
    'mask > 128, &lt;img src=x>'
    """
    return _TAG.sub("&lt;", one_line(text))


def code_span(text: str) -> str:
    """Text in Markdown's code marks, whatever marks it holds.

    >>> code_span("a`b")
    '`` a`b ``'
    """
    line = one_line(text)
    marks = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{marks} {line} {marks}" if len(marks) > 1 else f"`{line}`"


def escaped(text: str) -> str:
    """Text for one cell of a Markdown table: `plain`, without pipes that end the cell or links that leave the page.

    >>> escaped("a|b")
    'a\\\\|b'
    """
    return plain(text).replace("\\", "\\\\").replace("|", "\\|").replace("](", "]\\(")


def one_line(text: str) -> str:
    """Text without line breaks and other control characters."""
    return _CONTROLS.sub(" ", text).strip()


def latex(rows: pd.DataFrame) -> str:
    """A LaTeX `tabular` of booktabs, as a paper takes it."""
    lines = [r"\begin{tabular}{" + "l" * len(rows.columns) + "}", r"\toprule"]
    lines.append(" & ".join(_tex(str(name)) for name in rows.columns) + r" \\")
    lines.append(r"\midrule")
    lines += [
        " & ".join(_tex(cell(value)) for value in row) + r" \\" for row in rows.itertuples(index=False, name=None)
    ]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


_TEX = {char: f"\\{char}" for char in "&%_#{}$"} | {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(char, char) for char in one_line(text))


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, (float, np.floating)) and bool(np.isnan(value)))
