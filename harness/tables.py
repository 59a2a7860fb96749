"""Tidy rows to tables on disk: Markdown, CSV, JSON and LaTeX, each beside the command that repeats it."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import json
import platform
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import InputError
from harness.files import write_json, write_text
from harness.media.ffmpeg import find_ffmpeg
from harness.version import __version__

FORMATS = ("md", "csv", "json", "tex")


@dataclass(frozen=True)
class Table:
    """Rows with a name, what they were computed from, and how to compute them again.

    `inputs` are digests or settings that decide the numbers; `notes` are printed under the table.
    """

    name: str
    title: str
    rows: pd.DataFrame
    command: str
    inputs: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def this_command() -> str:
    """The command line that is running, as a user would type it."""
    return shlex.join(["harness", *sys.argv[1:]])


def library_versions() -> dict[str, str]:
    """Versions of everything that can move a number, the FFmpeg that would be called among them."""
    found = {"harness": __version__, "python": platform.python_version(), **_packages()}
    with contextlib.suppress(InputError):  # most numbers need no FFmpeg
        found["ffmpeg"] = find_ffmpeg().version
    return found


@functools.cache
def _packages() -> dict[str, str]:
    names = ("av", "bjontegaard", "imageio-ffmpeg", "numpy", "onnx", "onnxruntime", "pandas", "pillow", "scipy")
    return {name: importlib.metadata.version(name) for name in names}


def processor_name() -> str:
    """The CPU's model name, as the machine states it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def markdown(rows: pd.DataFrame) -> str:
    """A GitHub table; floats with four significant decimals, missing values as a dash.

    >>> print(markdown(pd.DataFrame({"model": ["a"], "mae": [0.25]})))
    | model | mae |
    | --- | --- |
    | a | 0.2500 |
    """
    lines = ["| " + " | ".join(map(str, rows.columns)) + " |", "| " + " | ".join("---" for _ in rows.columns) + " |"]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows.itertuples(index=False)]
    return "\n".join(lines)


def cell(value: Any) -> str:
    """One value as a table shows it."""
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 1000 else f"{value:.1f}"
    return str(value).replace("|", "\\|")


def write_table(table: Table, folder: Path) -> list[Path]:
    """Write `<name>.md|csv|json|tex` into `folder`, each whole or not at all."""
    paths = [Path(folder) / f"{table.name}.{suffix}" for suffix in FORMATS]
    notes = "".join(f"\n- {note}" for note in table.notes)
    inputs = "".join(f"\n- {key}: `{value}`" for key, value in table.inputs.items())
    body = f"# {table.title}\n\n{markdown(table.rows)}\n"
    body += f"\nNotes:{notes}\n" if notes else ""
    body += f"\nInputs:{inputs}\n" if inputs else ""
    write_text(paths[0], body + f"\nRepeat with: `{table.command}`\n")
    write_text(paths[1], table.rows.to_csv(index=False))
    write_json(paths[2], table_json(table))
    write_text(paths[3], _latex(table.rows))
    return paths


def table_json(table: Table) -> dict[str, Any]:
    """A table as its JSON file holds it."""
    return {
        "title": table.title,
        "command": table.command,
        "inputs": table.inputs,
        "notes": list(table.notes),
        "versions": library_versions(),
        "rows": json_records(table.rows),
    }


def json_records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON holds them, NaN and infinities being null.

    >>> json_records(pd.DataFrame({"model": ["a"], "plcc": [float("nan")]}))
    [{'model': 'a', 'plcc': None}]
    """
    records: list[dict[str, Any]] = json.loads(rows.to_json(orient="records", double_precision=15))
    return records


def _latex(rows: pd.DataFrame) -> str:
    def escaped(text: str) -> str:
        return "".join({"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#"}.get(char, char) for char in text)

    lines = [r"\begin{tabular}{" + "l" * len(rows.columns) + "}", r"\toprule"]
    lines.append(" & ".join(escaped(str(name)) for name in rows.columns) + r" \\")
    lines.append(r"\midrule")
    lines += [" & ".join(escaped(cell(value)) for value in row) + r" \\" for row in rows.itertuples(index=False)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])
