"""What `production.json` says: a pointer per extractor to the model in production, and the acts that led there.

Replaying the acts gives the pointer: a promotion puts a model on top, a rollback takes the top off.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jsonschema

from harness.errors import InputError
from harness.files import read_json, write_json

SCHEMA = Path(__file__).parent / "production.schema.json"
EXTRACTOR = "mobilesal"
FILE = "production.json"


@dataclass(frozen=True)
class Pointer:
    """A model in production; `verdict` is the digest that put it there, None for the one that was there first."""

    id: str
    sha256: str
    verdict: str | None
    since: str


def read_production(folder: Path) -> tuple[list[Pointer], list[dict[str, Any]]]:
    """The models in production, the present one last, and the acts; both empty where a model folder has no such file.

    Raises `InputError` for a file that its schema refuses, or whose acts do not lead to its pointer.
    """
    path = folder / FILE
    if not path.exists():
        return [], []
    content = read_json(path)
    try:
        jsonschema.validate(content, read_json(SCHEMA))
    except jsonschema.ValidationError as error:
        place = ".".join(map(str, error.absolute_path)) or "top level"
        raise InputError(f"{path}: {place}: {error.message}") from error
    stack: list[Pointer] = [Pointer(**content["first"])] if content["first"] else []
    for entry in content["history"]:
        pointer = Pointer(**{key: value for key, value in entry.items() if key != "act"})
        stack = [*stack, pointer] if entry["act"] == "promote" else stack[:-1]
    if not stack or asdict(stack[-1]) != content[EXTRACTOR]:
        raise InputError(f"{path}: its history does not lead to {content[EXTRACTOR]['id']}")
    return stack, content["history"]


def write_production(folder: Path, stack: list[Pointer], history: list[dict[str, Any]]) -> Pointer:
    """Write pointer and acts whole or not at all; the pointer."""
    first = stack[0] if stack[0].verdict is None else None
    content = {"schema_version": 1, EXTRACTOR: asdict(stack[-1]), "first": first and asdict(first), "history": history}
    jsonschema.validate(content, read_json(SCHEMA))
    write_json(folder / FILE, content)
    return stack[-1]
