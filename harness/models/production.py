"""What `production.json` says: a pointer per extractor to the model in production, and the acts that led there.

Replaying the acts gives the pointer: a promotion puts a model on top, a rollback takes the top off.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.files import check_schema, read_json, write_json

SCHEMA = Path(__file__).parent / "production.schema.json"
EXTRACTOR = "mobilesal"
FILE = "production.json"
PROMOTE, ROLLBACK = "promote", "rollback"


@dataclass(frozen=True)
class Pointer:
    """A model in production; `verdict` is the digest that put it there, None for the one that was there first."""

    id: str
    sha256: str
    verdict: str | None
    since: str


@dataclass(frozen=True)
class Act:
    """What changed production: `act` is `promote` or `rollback`; the rest is of the model that came or went.

    `policy` is the SHA-256 of the rules that a promotion was decided by, None for a rollback.
    """

    act: str
    id: str
    sha256: str
    verdict: str
    policy: str | None
    since: str

    @property
    def pointer(self) -> Pointer:
        """To the model that a promotion puts on top."""
        return Pointer(self.id, self.sha256, self.verdict, self.since)


@dataclass(frozen=True)
class Production:
    """The models in production, the present one last, and the acts; both empty before a beginning."""

    stack: tuple[Pointer, ...] = ()
    acts: tuple[Act, ...] = ()

    @property
    def now(self) -> Pointer | None:
        """What is in production."""
        return self.stack[-1] if self.stack else None

    @property
    def files(self) -> dict[str, str]:
        """The SHA-256 of every model that is or was in production, by its id: what no other bytes may replace."""
        first = {one.id: one.sha256 for one in self.stack[:1]}
        return first | {act.id: act.sha256 for act in self.acts}

    @property
    def used(self) -> set[str]:
        """The digests of verdicts that promoted already."""
        return {act.verdict for act in self.acts if act.act == PROMOTE}

    def then(self, act: Act) -> Production:
        """Production after one more act; `InputError` for one that cannot follow."""
        if act.act == PROMOTE:
            if act.verdict in self.used:
                raise InputError(f"verdict {act.verdict[:12]}… promotes twice (allowed: once)")
            return Production((*self.stack, act.pointer), (*self.acts, act))
        top = self.stack[-1]
        if len(self.stack) < 2 or (act.id, act.sha256, act.verdict) != (top.id, top.sha256, top.verdict):
            raise InputError(f"a rollback of {act.id}, which no promotion had put in production")
        return Production(self.stack[:-1], (*self.acts, act))


def read_production(folder: Path) -> Production:
    """What a model folder has in production; empty where it has no such file.

    Raises:
        InputError: For a file that its schema refuses, that was changed by hand, or whose acts do not lead to its
            pointer.
    """
    path = folder / FILE
    if not path.exists():
        return Production()
    content = read_json(path)
    check_schema(content, SCHEMA, str(path))
    if content["digest"] != _digest(content):
        raise InputError(f"{path} was changed by hand: its digest does not match its content")
    found = Production((Pointer(**content["first"]),))
    try:
        for act in content["history"]:
            found = found.then(Act(**act))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if asdict(found.stack[-1]) != content[EXTRACTOR]:
        raise InputError(f"{path}: its history does not lead to {content[EXTRACTOR]['id']}")
    return found


def write_production(folder: Path, first: Pointer, acts: Sequence[Act] = ()) -> Production:
    """Write a beginning and what followed, whole or not at all; whoever calls holds the folder's lock."""
    found = Production((first,))
    for act in acts:
        found = found.then(act)
    content = {"schema_version": 2, EXTRACTOR: asdict(found.stack[-1]), "first": asdict(first)}
    content["history"] = [asdict(act) for act in acts]
    content["digest"] = _digest(content)
    check_schema(content, SCHEMA, str(folder / FILE))
    write_json(folder / FILE, content)
    return found


def _digest(content: dict[str, Any]) -> str:
    kept = {key: value for key, value in content.items() if key != "digest"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
