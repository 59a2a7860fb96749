"""Tables that are published: rows with what they were made from, as Markdown and CSV that can be read back.

`NAME.csv` holds every row with every digit; `NAME.md` shows them (long tables: the first rows) and ends with the
record, JSON between code fences, of what wrote the table. Both are committed; JSON and LaTeX are made on demand.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import html
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from harness.cells import code_span, csv_text, guarded, kind_of, markdown, plain, unguarded
from harness.errors import InputError
from harness.files import whole_file, write_text

MOST_NOTES = 50
MOST_ROWS, FIRST_ROWS = 200, 20  # of a longer table, which is for programs, Markdown shows the first few
RECORD = "```json\n", "\n```\n"
SUFFIXES = (".csv", ".csv.gz")
NAN = float("nan")
Reader = Callable[[Sequence[str]], pd.Series]
_NAME = re.compile(r"[\w][\w.+-]*")
_KIND = re.compile(r"[a-z]+(\.[a-z_]+)+")


@dataclass(frozen=True)
class Code:
    """What computed a table: the module that measured, the digest of all it reaches, the commit, and the libraries.

    `harness.jobs.provenance.code_of` fills it in; an empty one is of a table that cannot say what wrote it.
    """

    module: str = ""
    digest: str = ""
    commit: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of one kind, and all that decides them.

    Args:
        kind: What the rows are, for whoever reads them by program: `eval.numbers`, `roi.bdrate`, …
        name: The files' name, without suffix.
        title: The heading.
        rows: One row per finding.
        command: What to type to have it again.
        models: SHA-256 of every model (or other source of maps) that rows speak of, by the name they use.
        data: Digests of what was read: `ecssd`, `ecssd[:200]` for its first 200 images, `davis-2016/libby` for a clip.
        code: What measured it.
        settings: Everything else that decides the numbers.
        notes: Printed under the table.
        digits: Significant digits of numbers in the CSV; None keeps them all.
        written: When, in ISO 8601; empty until the table is written.

    Raises:
        InputError: For a name that is none for a file in a folder.
    """

    kind: str
    name: str
    title: str
    rows: pd.DataFrame
    command: str
    models: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    code: Code = Code()
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    digits: int | None = None
    written: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        if not _KIND.fullmatch(self.kind):
            raise InputError(f"table kind {self.kind!r} (allowed: two or more words in small letters, as eval.numbers)")

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        shown = self.rows.to_html(index=False, escape=True, na_rep="–", max_rows=MOST_ROWS, border=0)
        return f"<p><b>{html.escape(self.title)}</b></p>{shown}"


def check_name(name: str) -> None:
    """`InputError` for what a table's files cannot be called."""
    if not _NAME.fullmatch(name):
        raise InputError(f"table name {name!r} (allowed: letters, digits and ._+- after the first)")


def write_table(table: Table, folder: Path, suffix: str = ".csv") -> list[Path]:
    """Write a table's CSV and Markdown into `folder`, each whole or not at all.

    Args:
        table: What to write.
        folder: Where; it is made if need be.
        suffix: `.csv`, or `.csv.gz` for rows that are many.

    Returns:
        The CSV's path and the Markdown's.
    """
    rows, shown = Path(folder) / f"{table.name}{suffix}", Path(folder) / f"{table.name}.md"
    content = csv_text(table.rows, table.digits).encode()
    if suffix.endswith(".gz"):
        content = gzip.compress(content, mtime=0)  # the same bytes every time
    with whole_file(rows) as temporary:
        temporary.write_bytes(content)
    write_text(shown, _document(table, rows.name, hashlib.sha256(content).hexdigest()))
    return [rows, shown]


def _document(table: Table, file: str, sha256: str) -> str:
    count = len(table.rows)
    shown = count if count <= MOST_ROWS else FIRST_ROWS
    body = f"# {plain(table.title)}\n\n{markdown(table.rows.head(shown))}\n"
    if shown < count:
        body += f"\nThe first {shown} of {count} rows; all are in `{file}`.\n"
    if table.notes:
        body += "\nNotes:" + "".join(f"\n- {plain(note)}" for note in table.notes) + "\n"
    record = {
        "kind": table.kind,
        "title": table.title,
        "notes": list(table.notes),
        "command": table.command,
        "written": table.written or datetime.now(UTC).isoformat(timespec="seconds"),
        "code": asdict(table.code),
        "models": dict(table.models),
        "data": dict(table.data),
        "settings": dict(table.settings),
        "columns": {unguarded(guarded(str(name))): kind_of(table.rows[name]) for name in table.rows},
        "digits": table.digits,
        "file": file,
        "sha256": sha256,
    }
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
    body += f"\nRepeat with: {code_span(table.command)}\n\n<details><summary>Made by</summary>\n\n"
    return f"{body}{RECORD[0]}{text}{RECORD[1]}\n</details>\n"


def read_table(path: Path, with_rows: bool = True) -> Table:
    """A table from its committed files.

    Args:
        path: Its CSV or its Markdown; the other one lies beside it.
        with_rows: Without them nothing is parsed, but the file is still held against its record.

    Returns:
        The table with rows as they were written: text as text, numbers to the last digit, a missing text as "".

    Raises:
        InputError: For a table that cannot say what wrote it, and for rows that are not those its record tells of.
    """
    path = Path(path)
    shown = path.with_name(f"{table_name(path)}.md")
    record = _record(shown)
    try:
        columns = {str(name): _READERS[kind] for name, kind in record["columns"].items()}
        table = Table(
            kind=str(record["kind"]),
            name=table_name(path),
            title=str(record["title"]),
            rows=pd.DataFrame(),
            command=str(record["command"]),
            models={str(name): str(digest) for name, digest in record["models"].items()},
            data={str(name): str(digest) for name, digest in record["data"].items()},
            code=_code_from(record["code"]),
            settings=dict(record["settings"]),
            notes=tuple(map(str, record["notes"])),
            digits=None if record["digits"] is None else int(record["digits"]),
            written=str(record["written"]),
        )
        rows = shown.with_name(Path(record["file"]).name)
        sha256 = str(record["sha256"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{shown}: its record is damaged ({_said(error)}; repeat the table)") from error
    content = _checked(rows, sha256)
    return replace(table, rows=_rows_from(rows, content, columns)) if with_rows else table


def part_of(name: str, used: int, whole: int) -> str:
    """What a table's `data` calls the first items of a set.

    >>> part_of("ecssd", 200, 1000), part_of("ecssd", 1000, 1000)
    ('ecssd[:200]', 'ecssd')
    """
    return f"{name}[:{used}]" if used < whole else name


def left_out_notes(left_out: Mapping[str, str]) -> list[str]:
    """Notes that say what a table lacks, by name, and why; of many the first few.

    >>> left_out_notes({"libby": "it is damaged"})
    ['Left out: libby (it is damaged).']
    """
    said = [f"Left out: {name} ({reason})." for name, reason in left_out.items()]
    more = len(said) - MOST_NOTES
    return said if more <= 0 else [*said[:MOST_NOTES], f"Left out as well: {more} more."]


def table_name(path: Path) -> str:
    """A table's name from any of its files.

    >>> table_name(Path("eval/images.csv.gz"))
    'images'
    """
    return re.sub(r"\.(csv|csv\.gz|md)$", "", path.name)


def published(folder: Path) -> Iterator[Path]:
    """The CSV of every table below a folder, sorted; a verdict's folder is left out, for it has digests of its own."""
    for path in sorted(Path(folder).rglob("*")):
        if path.name.endswith(SUFFIXES) and path.is_file():
            above = path.relative_to(folder).parents
            if not any((folder / parent / "verdict.json").exists() for parent in above):
                yield path


def _record(shown: Path) -> dict[str, Any]:
    try:
        text = shown.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{shown}: no record of what wrote this table ({_said(error)})") from error
    _, begun, rest = text.rpartition(RECORD[0])
    inner, ended, _ = rest.partition(RECORD[1])
    if not begun or not ended:
        raise InputError(f"{shown}: no record of what wrote this table (repeat it; its last lines hold one)")
    try:
        record = json.loads(inner)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{shown}: its record is not JSON ({_said(error)}; repeat the table)") from error
    if not isinstance(record, dict):
        raise InputError(f"{shown}: its record is damaged (a JSON object is allowed; repeat the table)")
    return record


def _code_from(stored: Any) -> Code:
    versions = {str(name): str(version) for name, version in stored["versions"].items()}
    return Code(str(stored["module"]), str(stored["digest"]), str(stored["commit"]), versions)


def _checked(path: Path, sha256: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(f"{path} is not what its record tells of: it was changed after it was written (repeat it)")
    return content


def _rows_from(path: Path, content: bytes, columns: Mapping[str, Reader]) -> pd.DataFrame:
    try:
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
        header, *lines = csv.reader(io.StringIO(text, newline=""))
        if [unguarded(name) for name in header] != list(columns):
            raise ValueError(f"columns {', '.join(header)}")
        cells: list[tuple[str, ...]] = list(zip(*lines, strict=True)) if lines else [() for _ in header]
        return pd.DataFrame({name: read(values) for (name, read), values in zip(columns.items(), cells, strict=True)})
    except (ValueError, OverflowError, OSError, EOFError, csv.Error) as error:
        raise InputError(f"{path}: its rows are damaged ({_said(error)}; repeat the table)") from error


def _said(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error or type(error).__name__).split())


def _truths(values: Sequence[str]) -> pd.Series:
    if wrong := set(values) - {"True", "False"}:
        raise ValueError(f"{min(wrong)!r} where True or False is allowed")
    return pd.Series([value == "True" for value in values], dtype=bool)


_READERS: dict[str, Reader] = {
    "text": lambda values: pd.Series([unguarded(value) for value in values], dtype=object),
    "integer": lambda values: pd.Series([int(value) for value in values], dtype="int64"),
    "number": lambda values: pd.Series([float(value) if value else NAN for value in values], dtype="float64"),
    "truth": _truths,
}


def table_json(table: Table) -> dict[str, Any]:
    """A table as JSON holds it, for scripts: its record and its rows, NaN and infinities being null."""
    return {
        "kind": table.kind,
        "title": table.title,
        "command": table.command,
        "code": asdict(table.code),
        "models": dict(table.models),
        "data": dict(table.data),
        "settings": dict(table.settings),
        "notes": list(table.notes),
        "rows": json_records(table.rows),
    }


def json_records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON holds them, NaN and infinities being null.

    >>> json_records(pd.DataFrame({"model": ["a"], "plcc": [float("nan")]}))
    [{'model': 'a', 'plcc': None}]
    """
    records: list[dict[str, Any]] = json.loads(rows.to_json(orient="records", double_precision=15))
    return records
