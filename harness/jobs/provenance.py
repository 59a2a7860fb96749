"""Which of the project's code a module can reach, as a digest: results of older code are no results of this one."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

OURS = ("harness", "corpora", "train")


@functools.cache
def code_digest(module: str) -> str:
    """SHA-256 over the source of `module` and of every module of the project that its imports lead to."""
    found: dict[str, bytes] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _source_of(name)
        if name in found or path is None:
            continue
        found[name] = path.read_bytes()
        waiting += [other for other in _imported(found[name]) if other.partition(".")[0] in OURS]
    digest = hashlib.sha256()
    for name in sorted(found):
        digest.update(f"{name} {hashlib.sha256(found[name]).hexdigest()}\n".encode())
    return digest.hexdigest()


def _source_of(name: str) -> Path | None:
    """The file of a module; None for what is no module, such as a class that was imported from one."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec and spec.origin and spec.has_location else None


def _imported(source: bytes) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
