"""Results on disk, one JSON file a job: whole or absent, so a killed run resumes where it was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.files import read_json, write_json
from harness.jobs.job import Job


@dataclass(frozen=True)
class Store:
    """A folder of results; `None` keeps nothing."""

    folder: Path | None

    def __contains__(self, job: Job) -> bool:
        return self.folder is not None and self._path(job).is_file()

    def load(self, job: Job) -> Any:
        """The result that an equal job left; `InputError` when the file does not belong to it."""
        record = read_json(self._path(job))
        if not isinstance(record, dict) or record.get("key") != job.key or "result" not in record:
            raise InputError(f"{self._path(job)} is no result of {job.name} (delete it to compute it again)")
        return record["result"]

    def save(self, job: Job, result: Any) -> None:
        """Write a result beside what it was computed from."""
        if self.folder is not None:
            write_json(self._path(job), {"key": job.key, **job.content, "result": result})

    def _path(self, job: Job) -> Path:
        assert self.folder is not None
        return Path(self.folder) / job.key[:2] / f"{job.key}.json"
