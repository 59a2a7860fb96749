"""Results that are kept, one record a job: whole or absent, so a killed run resumes, and refused when altered."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from harness.jobs.job import Job
from harness.jobs.places import Folder, Place, is_url, place_of

ARRAY = "ndarray"  # the one key of what stands for an array: its type, shape and bytes
_HEAD = b'{"sha256":"%s","record":'
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stored:
    """A result that was found."""

    result: Any


@dataclass(frozen=True)
class Store:
    """Results by their jobs' keys, in a folder or where a URL says (`s3://BUCKET/PREFIX`); `None` keeps nothing.

    A record is JSON: its digest, and a job's key, its content and its result. The first one that is written for a key
    stands, whoever else computes the same. Workers write their own.
    """

    folder: Path | str | None

    def __post_init__(self) -> None:
        if self.folder is not None and not is_url(self.folder):
            object.__setattr__(self, "folder", Path(self.folder).absolute())  # a worker may start elsewhere

    @cached_property
    def _place(self) -> Place | None:
        return None if self.folder is None else place_of(self.folder)

    @property
    def across(self) -> bool:
        """Whether other processes see the same."""
        return self._place is None or self._place.across

    @property
    def at_hand(self) -> bool:
        """Whether a look costs next to nothing."""
        return isinstance(self._place, Folder)

    def check(self) -> None:
        """`InputError` or `HarnessError` where nothing can be written, before any work."""
        if self._place:
            self._place.check()

    def __contains__(self, job: Job) -> bool:
        return self._place is not None and self._place.has(_name(job.key))

    def present(self, jobs: Iterable[Job]) -> set[str]:
        """The keys of those jobs of which there is a record, by lists: not a question for each."""
        if self._place is None:
            return set()
        keys = {job.key for job in jobs}
        there = self._place.names(sorted({key[:2] for key in keys}))
        return {key for key in keys if _name(key) in there}

    def load(self, job: Job) -> Stored | None:
        """The result that an equal job left; None, with a word in the log, where the file is not what was written."""
        for _, found in self.load_all([job]):
            return found
        return None

    def load_all(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Stored]]:
        """Jobs with what equal ones left, a few in memory at a time; those of which nothing sound is there are left
        out."""
        if self._place is None:
            return
        named = {_name(job.key): job for job in jobs}
        for name, content in self._place.read(named):
            found = None if content is None else self._sound(named[name], content)
            if found:
                yield named[name], found

    def save(self, job: Job, result: Any) -> Any:
        """Keep a result beside what it was computed from; gives the one that stands, which is the first's."""
        if self._place is None:
            return result
        record = {"key": job.key, **job.content, "result": result}
        text = json.dumps(record, separators=(",", ":"), allow_nan=False, default=_of_array).encode()
        content, name = _HEAD % hashlib.sha256(text).hexdigest().encode() + text + b"}\n", _name(job.key)
        if self._place.create(name, content):
            return result
        ((_, before),) = self._place.read([name])
        if before == content:
            return result
        if before is not None and (first := self._sound(job, before)):
            log.warning("harness: %s was computed twice with two results: the first stands", self._place.shown(name))
            return first.result
        self._place.replace(name, content)
        return result

    def _sound(self, job: Job, content: bytes) -> Stored | None:
        assert self._place
        try:
            record = _read(content)
            if record["key"] != job.key:
                raise ValueError("of another job")
            return Stored(record["result"])
        except (ValueError, KeyError, TypeError) as error:
            shown = self._place.shown(_name(job.key))
            log.warning("harness: %s is damaged or was altered (%s): computed again", shown, error)
            return None

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def _name(key: str) -> str:
    return f"{key[:2]}/{key}.json"


def _read(content: bytes) -> dict[str, Any]:
    start = len(_HEAD % bytes(64))
    text = content[start:-2]
    if content != _HEAD % hashlib.sha256(text).hexdigest().encode() + text + b"}\n":
        raise ValueError("its digest is another")
    record: dict[str, Any] = json.loads(text, object_hook=_to_array)
    return record


def _of_array(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        content = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {ARRAY: [value.dtype.str, list(value.shape), content]}
    raise TypeError(f"{type(value).__name__} is no result of a job (allowed: JSON, and NumPy arrays in it)")


def _to_array(value: dict[str, Any]) -> Any:
    if value.keys() != {ARRAY}:
        return value
    kind, shape, content = value[ARRAY]
    return np.frombuffer(base64.b64decode(content), np.dtype(kind)).reshape(shape)
