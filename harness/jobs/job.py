"""One piece of work whose result depends on nothing but its code, its arguments and the files it reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness.jobs.provenance import code_digest, library_versions


@dataclass(frozen=True)
class Job:
    """Call `function(**arguments)`; `inputs` names the digests of whatever it reads.

    `function` is importable by name, so that another process can find it; `arguments` and the result are JSON.
    """

    function: Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The function's importable name."""
        return f"{self.function.__module__}:{self.function.__qualname__}"

    @property
    def content(self) -> dict[str, Any]:
        """Everything that decides the result."""
        return {
            "function": self.name,
            "arguments": dict(self.arguments),
            "inputs": dict(self.inputs),
            "code": code_digest(self.function.__module__),
            "versions": library_versions(),
        }

    @cached_property
    def key(self) -> str:
        """SHA-256 of the content: equal jobs have equal keys, on any machine, whatever their arguments' order."""
        canonical = json.dumps(self.content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def run(self) -> Any:
        """Do the work here and now."""
        return self.function(**self.arguments)


def run_job(job: Job) -> Any:
    """What a worker executes."""
    return job.run()
