"""Results on disk, one file a job: whole or absent, so a killed run resumes, and refused when it was altered."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import InputError
from harness.files import whole_file
from harness.jobs.job import Job

ARRAY = "ndarray"  # the one key of what stands for an array: its type, shape and bytes
_HEAD = b'{"sha256":"%s","record":'
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stored:
    """A result that was found."""

    result: Any


@dataclass(frozen=True)
class Store:
    """A folder of results; `None` keeps nothing.

    A file is JSON: the digest of a record, and the record, which is a job's key, its content and its result.
    """

    folder: Path | None

    def __contains__(self, job: Job) -> bool:
        return self.folder is not None and self._path(job).is_file()

    def load(self, job: Job) -> Stored | None:
        """The result that an equal job left; None, with a word in the log, where the file is not what was written."""
        if self.folder is None:
            return None
        path = self._path(job)
        try:
            record = _read(path.read_bytes())
            if record["key"] != job.key:
                raise ValueError("of another job")
            return Stored(record["result"])
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            log.warning("harness: %s is damaged or was altered (%s): computed again", path, error)
            return None

    def save(self, job: Job, result: Any) -> None:
        """Write a result beside what it was computed from."""
        if self.folder is None:
            return
        record = {"key": job.key, **job.content, "result": result}
        text = json.dumps(record, separators=(",", ":"), allow_nan=False, default=_of_array).encode()
        with whole_file(self._path(job)) as temporary:
            temporary.write_bytes(_HEAD % hashlib.sha256(text).hexdigest().encode() + text + b"}\n")

    def _path(self, job: Job) -> Path:
        assert self.folder is not None
        return Path(self.folder) / job.key[:2] / f"{job.key}.json"


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
