"""What one group of checks gathered, kept in a file that a rerun takes up and a change to it invalidates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.files import read_json, write_json
from harness.gate.verdict import Measurement


@dataclass(frozen=True)
class Evidence:
    """Measurements of one group, with what they were made of.

    `missing` maps a rule's key, or the group's name, to why there is no measurement; `unavailable` does so for what
    this machine lacks the means for, which a policy may do without. `tables` are rows that the report
    shows; `pictures` are file names beside the evidence file, each with a caption.
    """

    group: str
    measurements: tuple[Measurement, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)


def remembered(folder: Path, group: str, inputs: dict[str, Any], gather: Callable[[], Evidence]) -> Evidence:
    """The evidence in `folder` if whole and made from the same `inputs`, else what `gather` returns, kept."""
    path = folder / f"{group}.json"
    key = _digest(inputs)
    if path.exists():
        kept, made_from = _read(path)
        if made_from == key and not kept.missing:
            return kept
    evidence = gather()
    content = asdict(evidence)
    write_json(path, {"made_from": key, "digest": _digest(content), "evidence": content})
    return evidence


def read_evidence(path: Path) -> Evidence:
    """Evidence from its file; `InputError` when it was changed after it was written."""
    return _read(path)[0]


def _read(path: Path) -> tuple[Evidence, str]:
    stored = read_json(path)
    try:
        content, digest, key = stored["evidence"], stored["digest"], str(stored["made_from"])
        if _digest(content) != digest:
            raise InputError(f"{path} was changed after it was written: remove it to measure again")
        measurements = tuple(Measurement(**item) for item in content["measurements"])
        return Evidence(**{**content, "measurements": measurements}), key
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is not evidence of this gate: remove it to measure again") from error


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()
