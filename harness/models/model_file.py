"""A model's file, read once in a process: what is hashed is what is checked, and what is checked is what runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.errors import InputError

MAX_BYTES = 50 * 1000 * 1000  # upstream's cap


@dataclass(frozen=True)
class ModelFile:
    """A file that was asked for, by its name in tables.

    Attributes:
        name: The registry id, or the file's stem.
        path: Where it lies.
        registered: The SHA-256 that the registry has for it, None for a file that was named by its path.

    `content` and `sha256` read the file when first asked for. Another process gets the digest and reads the file
    itself, and refuses other bytes.
    """

    name: str
    path: Path
    registered: str | None = None
    _read: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def at(cls, path: Path | str) -> ModelFile:
        """A file by its path, called by its stem."""
        return cls(Path(path).stem, Path(path))

    @classmethod
    def known(cls, name: str, path: Path | str, sha256: str) -> ModelFile:
        """A file of which another process tells the digest; it is read only where no session over it is open."""
        return cls(name, Path(path), None, {"sha256": sha256})

    @property
    def asked(self) -> str:
        """How a command names it: the registry id, else the path."""
        return self.name if self.registered else str(self.path)

    def renamed(self, name: str) -> ModelFile:
        """The same file under another name."""
        return replace(self, name=name)

    @property
    def content(self) -> bytes:
        """The file's bytes; `InputError` when they cannot be read, are too many, or are others than before."""
        if "content" not in self._read:
            content = self._bytes()
            known, found = self._read.get("sha256"), hashlib.sha256(content).hexdigest()
            if known not in (None, found):
                raise InputError(f"{self.path} has changed during the run: sha256 was {known}, is {found}")
            self._read.update(content=content, sha256=found)
        return bytes(self._read["content"])

    @property
    def sha256(self) -> str:
        """SHA-256 of the content, lower hex."""
        if "sha256" not in self._read:
            _ = self.content
        return str(self._read["sha256"])

    def refuse_change(self) -> None:
        """`InputError` when the file is not the one that the registry has."""
        if self.registered not in (None, self.sha256):
            raise InputError(f"{self.path}: sha256 is {self.sha256}, the registry says {self.registered}")

    def _bytes(self) -> bytes:
        try:
            with self.path.open("rb") as stream:
                content = stream.read(MAX_BYTES + 1)
                size = max(len(content), self.path.stat().st_size)
        except OSError as error:
            raise InputError(f"cannot read model {self.path}: {error.strerror}") from error
        if size > MAX_BYTES:
            raise InputError(f"{self.path}: {size} bytes (allowed: at most {MAX_BYTES})")
        return content

    def __getstate__(self) -> dict[str, Any]:
        told = {key: value for key, value in self._read.items() if key != "content"}
        return {**self.__dict__, "_read": told}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
