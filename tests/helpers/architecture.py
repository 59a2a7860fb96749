"""The tree's rooms and who imports whom, read from the sources; `python -m tests.helpers.architecture [TREE]` counts.

A room is a folder of modules, with the folders inside it. A study is a room of its own, a file or a folder of
`harness/studies`, and so is `harness/cli/train`. Of the modules that lie flat in `harness/`, those of `GROUND` are one
room, any other is a room by itself; `harness`, the front door, is its `__init__`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGES = ("harness", "train", "corpora")
GROUND = ("cells", "errors", "files", "leftovers", "locks", "sequential", "stats", "tables", "version")
MOST_LINES, MOST_FLAT = 400, 9
TORCH = ("train", "cli/train")


@dataclass(frozen=True)
class Arrow:
    """A module imports another; both by dotted name, `target` maybe of a library."""

    source: str
    target: str


@dataclass(frozen=True)
class Tree:
    """Modules of a checkout by dotted name, and all their imports wherever they stand: in functions too."""

    modules: dict[str, Path]
    arrows: frozenset[Arrow]

    @classmethod
    def read(cls, root: Path, packages: Sequence[str] = PACKAGES) -> Tree:
        """Every module of these packages of `root`."""
        modules = {}
        for path in sorted(path for package in packages for path in (root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        return cls(modules, frozenset(arrow for name in modules for arrow in _imports(name, modules)))

    @property
    def ours(self) -> Iterator[Arrow]:
        """The arrows between modules of the project."""
        return (arrow for arrow in self.arrows if arrow.target in self.modules)

    @property
    def rooms(self) -> set[str]:
        """All but those that hold nothing, such as the package around the studies."""
        return {room_of(name, self.modules) for name, path in self.modules.items() if path.stat().st_size}

    @property
    def room_arrows(self) -> set[Arrow]:
        """Who imports whom, room by room."""
        pairs = ((room_of(arrow.source, self.modules), room_of(arrow.target, self.modules)) for arrow in self.ours)
        return {Arrow(one, other) for one, other in pairs if one != other}


def _imports(name: str, modules: dict[str, Path]) -> Iterator[Arrow]:
    path = modules[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    sources = [
        path,
        *([stub] if (stub := path.with_suffix(".pyi")).exists() else []),
    ]  # a lazy front door says it there
    for node in (node for source in sources for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))):
        if isinstance(node, ast.Import):
            yield from (Arrow(name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            origin = ".".join(part for part in (above, node.module) if part)
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                yield Arrow(name, inner if inner in modules else origin)


def room_of(name: str, modules: dict[str, Path]) -> str:
    """The room of a module, as the floors of docs/architecture.md name it."""
    package, *inner = name.split(".")
    if package != "harness":
        return package
    if not inner:
        return "harness"
    if inner == ["__main__"]:
        return "cli"
    if len(inner) == 1 and modules[name].name != "__init__.py":
        return "ground" if inner[0] in GROUND else inner[0]
    if len(inner) > 1 and inner[0] == "studies":
        return "/".join(inner[:2])
    return "cli/train" if inner[:2] == ["cli", "train"] else inner[0]


def read_floors(page: Path) -> list[list[str]]:
    """The floors that a page shows in its ```floors block, from the ground up; rooms are set apart by ` · `."""
    block = re.search(r"^```floors\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert block, f"{page} shows no floors"
    return [line.split("#")[0].strip().split(" · ") for line in reversed(block[1].splitlines())]


def faults(tree: Tree, floors: list[list[str]]) -> list[str]:
    """Whatever is against the house's rules, one line each."""
    height = {room: number for number, rooms in enumerate(floors) for room in rooms}
    found = [f"{room} is on no floor" for room in sorted(tree.rooms - height.keys())]
    found += [f"{room} is on a floor but does not exist" for room in sorted(height.keys() - tree.rooms)]
    for arrow in sorted(tree.ours, key=lambda arrow: (arrow.source, arrow.target)):
        source, target = room_of(arrow.source, tree.modules), room_of(arrow.target, tree.modules)
        if source != target and height.get(source, 0) <= height.get(target, 0):
            found.append(f"{arrow.source} imports {arrow.target}: {source} is not above {target}")
    found += [
        f"{arrow.source} imports {arrow.target}: only {' and '.join(TORCH)} may"
        for arrow in sorted(tree.arrows, key=lambda arrow: arrow.source)
        if arrow.target.partition(".")[0] == "torch" and room_of(arrow.source, tree.modules) not in TORCH
    ]
    for name, path in tree.modules.items():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MOST_LINES:
            found.append(f"{name} has {lines} lines (allowed: {MOST_LINES})")
    flat = [name for name, path in tree.modules.items() if path.parent.name == "harness" and path.stem[0] != "_"]
    if len(flat) > MOST_FLAT:
        found.append(f"{len(flat)} modules lie flat in harness/ (allowed: {MOST_FLAT})")
    if circle := _circle((arrow.source, arrow.target) for arrow in tree.ours):
        found.append(f"modules import in a circle: {' -> '.join(circle)}")
    return found


def _circle(pairs: Iterator[tuple[str, str]]) -> list[str]:
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for one, other in pairs:
        sorter.add(one, other)
    try:
        sorter.prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def figures(tree: Tree) -> dict[str, int]:
    """How many rooms, floors (the longest way down, rooms in a circle sharing one) and arrows between rooms."""
    below: dict[str, set[str]] = {room: set() for room in tree.rooms}
    for arrow in tree.room_arrows:
        below[arrow.source].add(arrow.target)
    reach = {room: _reach(room, below) for room in below}

    def depth(room: str) -> int:
        others = {other for other in reach[room] if room not in reach[other]}
        return 1 + max(map(depth, others), default=0)

    return {"rooms": len(below), "floors": max(map(depth, below)), "arrows": len(tree.room_arrows)}


def _reach(room: str, below: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [room]
    while waiting:
        fresh = below[waiting.pop()] - found
        found |= fresh
        waiting += fresh
    return found


if __name__ == "__main__":
    print(figures(Tree.read(Path(sys.argv[1] if len(sys.argv) > 1 else "."))))
