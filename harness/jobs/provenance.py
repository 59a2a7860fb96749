"""What made a result: which of the project's code its module reaches, as a digest, the libraries, the commit."""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import io
import os
import platform
import shlex
import subprocess
import sys
import time
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.media.ffmpeg import find_ffmpeg
from harness.tables import Code
from harness.version import __version__

OURS = ("harness", "corpora", "train", "benchmarks")
ROOT = Path(__file__).resolve().parents[2]  # the folder that holds them
PLUMBING = (
    *("harness.version", "harness.errors", "harness.files", "harness.locks", "harness.tables", "harness.cells"),
    *("harness.jobs", "harness.pages"),
)
"""Modules that carry numbers and make none: a change of theirs makes no result an old one."""


def code_of(module: str) -> Code:
    """What a table records of the code that measured it.

    Args:
        module: The importable name of the module whose imports lead to everything that decides the numbers, as a
            study's `__name__`; not the command line's, whose wording decides none.

    Returns:
        Its name, digest, commit (with a plus where the tree differs from it) and the libraries' versions.
    """
    return Code(module, code_digest(module), commit(), library_versions())


@functools.cache
def code_digest(module: str) -> str:
    """SHA-256 over `module` and every module of the project that its imports lead to, `PLUMBING` left out.

    Comments, docstrings and blank lines decide no result and are left out too.
    """
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = source_of(name)
        if name in found or path is None or (name != module and _within(name, PLUMBING)):
            continue
        found[name], imported = _read(path.read_text(encoding="utf-8"))
        waiting += imported
    digest = hashlib.sha256()
    for name in sorted(found):
        digest.update(f"{name} {found[name]}\n".encode())
    return digest.hexdigest()


def source_of(name: str) -> Path | None:
    """The file of a module; None for what is no module, such as a class that was imported from one."""
    if name.partition(".")[0] in OURS:  # found without importing their packages, which may need what is not installed
        place = ROOT.joinpath(*name.split("."))
        return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec and spec.origin and spec.has_location else None


def _within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@functools.cache
def _read(source: str) -> tuple[str, tuple[str, ...]]:
    """The digest of a module's essence, and what it imports of the project: many digests lead to one module."""
    tree = list(ast.walk(ast.parse(source)))
    ours = tuple(name for name in _imported(tree) if name.partition(".")[0] in OURS)
    return hashlib.sha256(_essence(source, tree).encode()).hexdigest(), ours


def _imported(tree: Iterable[ast.AST]) -> Iterator[str]:
    for node in tree:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _essence(source: str, tree: Iterable[ast.AST] | None = None) -> str:
    """A module's lines without docstrings, comments, blank lines and trailing spaces; `tree` are its nodes.

    >>> _essence('def f():  # why' + chr(10) + '    "What."' + chr(10) + '    return 1' + chr(10))
    'def f():\\n    return 1'
    """
    lines: list[str | None] = list(source.splitlines())
    if "#" in source:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                line = lines[token.start[0] - 1]
                lines[token.start[0] - 1] = line and line[: token.start[1]]
    for node in tree or ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            for number in range(first.lineno, (first.end_lineno or first.lineno) + 1):
                lines[number - 1] = None
    return "\n".join(line.rstrip() for line in lines if line and line.strip())


@functools.cache
def commit() -> str:
    """The checkout's commit, with a plus where the code differs from it; empty outside a checkout."""
    head = _git("rev-parse", "HEAD") if (ROOT / ".git").exists() else None
    return f"{head}{'+' if _git('status', '--porcelain', '--', *OURS) else ''}" if head else ""


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def made_by(module: str) -> Mapping[str, Any]:
    """What decides a result beside its job: the module's digest and the libraries' versions, one object for many."""
    return _made_by(module, *_now())


@functools.lru_cache(maxsize=16)
def _made_by(module: str, named: tuple[str | None, ...], second: int) -> Mapping[str, Any]:
    return {"code": code_digest(module), "versions": dict(_versions_with(named, second))}


def library_versions() -> dict[str, str]:
    """Versions of everything that can move a number, the FFmpeg that would be called among them."""
    return dict(_versions_with(*_now()))


def _now() -> tuple[tuple[str | None, ...], int]:
    return (os.environ.get("HARNESS_FFMPEG"), os.environ.get("PATH")), int(time.monotonic())


@functools.lru_cache(maxsize=1)
def _versions_with(named: tuple[str | None, ...], second: int) -> dict[str, str]:
    """Looked up once a second: for every job of many it would take most of the time that a job's key takes."""
    found = {"harness": __version__, "python": platform.python_version(), **_packages()}
    with contextlib.suppress(InputError):  # most numbers need no FFmpeg
        found["ffmpeg"] = find_ffmpeg().version
    return found


@functools.cache
def _packages() -> dict[str, str]:
    names = ("av", "bjontegaard", "imageio-ffmpeg", "numpy", "onnx", "onnxruntime", "pandas", "pillow", "scipy")
    return {name: importlib.metadata.version(name) for name in names}


def processor_name() -> str:
    """The CPU's model name, as the machine states it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def this_command() -> str:
    """The command line that is running, as a user would type it: `harness …`, or `python -m MODULE …` of ours."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    own = spec.name if spec and not spec.name.startswith("harness") and spec.name.startswith(OURS) else None
    return shlex.join([*(["python", "-m", own] if own else ["harness"]), *sys.argv[1:]])


def command_line(command: str, options: Mapping[str, Iterable[object] | bool]) -> str:
    """The words that repeat a run: a flag where an option is True, an option again for each of its values but None.

    >>> command_line("eval", {"--corpus": ["ecssd"], "--root": [None], "--minmax": True, "--note": ["as is"]})
    "harness eval --corpus ecssd --minmax --note 'as is'"
    """
    words = ["harness", command]
    for name, values in options.items():
        if isinstance(values, bool):
            words += [name] if values else []
        else:
            words += [word for value in values if value is not None for word in (name, str(value))]
    return shlex.join(words)
