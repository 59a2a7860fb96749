"""What `--json` prints, held against the schemas; `python -m tests.helpers.schemas` writes down what they promise.

The promise is kept in `tests/vectors/json_promise.json`: whoever reads an output of some version finds there all that
it may rely on. It is written anew only when a schema gets a new version, or promises more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema

from tests.helpers import ROOT

FOLDER = ROOT / "harness" / "schemas"
PROMISE = ROOT / "tests" / "vectors" / "json_promise.json"


def schema_of(name: str) -> dict[str, Any]:
    """The schema of a command's output, by the command's words with dashes between them."""
    path = ROOT / "harness/gate/verdict.schema.json" if name == "gate" else FOLDER / f"{name}.schema.json"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def checked(name: str, printed: str) -> Any:
    """Printed JSON, which must be valid and have no key at its top that the schema does not tell of."""
    content, schema = json.loads(printed), schema_of(name)
    jsonschema.validate(content, schema)
    if "properties" in schema:
        assert content.keys() <= schema["properties"].keys()
    return content


def names() -> list[str]:
    """Every output that has a schema here."""
    return sorted(path.name.removesuffix(".schema.json") for path in FOLDER.glob("*.schema.json"))


def promised(schema: dict[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    """Places that are always there, each with the types or values that a reader must reckon with."""
    if "anyOf" in schema:
        for number, one in enumerate(schema["anyOf"]):
            yield from promised(one, f"{place}|{number}")
        return
    kinds = schema.get("type", [])
    said = [kinds] if isinstance(kinds, str) else list(kinds)
    values = [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else [])]
    yield place, " or ".join([*said, *map(str, values)])
    for name in schema.get("required", ()):
        yield from promised(schema["properties"][name], f"{place}.{name}")
    if "items" in schema:
        yield from promised(schema["items"], f"{place}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from promised(schema["additionalProperties"], f"{place}.*")


def promise() -> dict[str, dict[str, str]]:
    """What all schemas promise now."""
    return {name: dict(promised(schema_of(name))) for name in names()}


def write_promise(path: Path = PROMISE) -> None:
    """Write it down, a place a line."""
    path.write_text(json.dumps(promise(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_promise()
