"""`harness.toml`, a folder's own defaults: found from the working folder upwards; flags and environment variables win.

A key at the top is an option that several commands have, for all of them (`encoder = "libx265"`); a table is a command
and holds any of its options (`[roi-encode]`, `[corpora.verify]`). Relative paths are relative to the file.
"""

from __future__ import annotations

import os
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cli import options
from harness.errors import InputError
from harness.files import is_url, read_toml

NAME = "harness.toml"
ENVIRONMENT = {"root": "HARNESS_CORPORA", "models": "HARNESS_MODELS"}  # what they set wins over the file
ACTS = {("results stale", "root")}  # there it asks for more work
KINDS: dict[str, tuple[tuple[type, ...], str]] = {  # by what stands in an option's type: what a file may say for it
    "Literal": ((), "text"),
    "Path": ((), "a path, as text"),
    "bool": ((bool,), "true or false"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "str": ((int, float), "text, or a number"),
}
ONLY_FLAGS = ("keys", "json", "check", "help", "version")  # whom to trust is not for a folder to say; the rest are acts


@dataclass(frozen=True)
class Setting:
    """One option of one command that the file sets; `overruled` names the environment variable that wins over it."""

    command: str
    option: str
    value: Any
    overruled: str | None = None


@dataclass(frozen=True)
class ProjectFile:
    """The file and what it holds."""

    path: Path
    content: Mapping[str, Any]


def find_project_file(start: Path | None = None) -> ProjectFile | None:
    """The nearest `harness.toml` in `start` [the working folder] or above it; `InputError` for one that is no TOML."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        path = folder / NAME
        if path.is_file():
            return ProjectFile(path, read_toml(path))
    return None


def shared_options() -> set[str]:
    """Names, without dashes, of the options that several commands have."""
    found = set()
    for declared in vars(options).values():
        for note in typing.get_args(declared)[1:] if typing.get_origin(declared) is typing.Annotated else ():
            names = (note.default, *(note.param_decls or ()))  # typer reads the first name into `default`
            found |= {name.removeprefix("--") for name in names if isinstance(name, str) and name.startswith("--")}
    return found - set(ONLY_FLAGS)


def settings(project: ProjectFile, group: Any, known: Mapping[str, Any]) -> list[Setting]:
    """What `project` sets for the commands of `group`, the click group of the application; tables name `known` ones.

    Raises:
        InputError: For a name that is no such option or command, or a value that the option cannot have, with what is
            allowed.
    """
    general = {key: value for key, value in project.content.items() if not isinstance(value, dict)}
    for key in general:
        if key not in (shared := shared_options()):
            raise InputError(f"{project.path}: {key!r} is no option of several commands (allowed: {_listed(shared)})")
    tables = {key: value for key, value in project.content.items() if isinstance(value, dict)}
    if unknown := sorted(tables.keys() - known.keys()):
        raise InputError(f"{project.path}: [{unknown[0]}] is no command (allowed: {_listed(known)})")
    for name, table in tables.items():
        if name in group.commands:  # of the others nothing is known here
            _refuse_unknown(project, table, group.commands[name], (name,))
    found = list[Setting]()
    for words, command in _leaves(group):
        own = {key: value for key, value in _own(project, tables, words).items() if not isinstance(value, dict)}
        parameters = _options(command)
        if wrong := sorted(own.keys() - parameters.keys()):
            allowed = _listed(parameters)
            raise InputError(
                f"{project.path}: [{'.'.join(words)}] {wrong[0]!r} is no option of it (allowed: {allowed})"
            )
        hints = _types(command)
        for name, value in (general | own).items():
            if name in parameters and (name in own or (" ".join(words), name) not in ACTS):
                place = f"[{'.'.join(words)}] " if name in own else ""
                where = f"{project.path}: {place}{name}"
                typed = _typed(value, str(hints.get(parameters[name], "")), project.path.parent, where)
                winner = ENVIRONMENT.get(name)
                overruled = winner if winner and os.environ.get(winner) else None
                found.append(Setting(" ".join(words), name, typed, overruled))
    return found


def defaults(found: list[Setting], group: Any) -> dict[str, Any]:
    """The settings as click wants a `default_map`: nested by command, by the names of its parameters."""
    names = {" ".join(words): _options(command) for words, command in _leaves(group)}
    nested: dict[str, Any] = {}
    for one in found:
        if one.overruled:
            continue
        place = nested
        for word in one.command.split():
            place = place.setdefault(word, {})
        place[names[one.command][one.option]] = one.value
    return nested


def _refuse_unknown(project: ProjectFile, table: Mapping[str, Any], command: Any, words: tuple[str, ...]) -> None:
    """`InputError` for a table inside that is no command, and for an option of a group, which has none."""
    inner = getattr(command, "commands", {})
    for key, value in table.items():
        place = ".".join((*words, key))
        if key in inner and isinstance(value, dict):
            _refuse_unknown(project, value, inner[key], (*words, key))
        elif isinstance(value, dict):
            allowed = _listed(inner) if inner else f"options of {' '.join(words)}, no table"
            raise InputError(f"{project.path}: [{place}] is no command (allowed: {allowed})")
        elif key not in inner and not command.callback:
            raise InputError(f"{project.path}: [{'.'.join(words)}] {key!r} is no command (allowed: {_listed(inner)})")


def _own(project: ProjectFile, tables: Mapping[str, Any], words: tuple[str, ...]) -> dict[str, Any]:
    """What the command's own table says."""
    place: Any = tables
    for number, word in enumerate(words, 1):
        place = place.get(word, {})
        if not isinstance(place, dict):
            raise InputError(f"{project.path}: {'.'.join(words[:number])} is a value (must be a table of options)")
    return place


def _leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    if words and command.callback:
        yield words, command
    for name, one in getattr(command, "commands", {}).items():
        yield from _leaves(one, (*words, name))


def _options(command: Any) -> dict[str, str]:
    """Long option names without dashes, each with the name of its parameter."""
    found = {}
    for parameter in command.params:
        for name in parameter.opts:
            if name.startswith("--") and name.removeprefix("--") not in ONLY_FLAGS:
                found[name.removeprefix("--")] = parameter.name
    return found


def _types(command: Any) -> dict[str, Any]:
    """The parameters' types as the command's function declares them."""
    function = command.callback
    return typing.get_type_hints(getattr(function, "__wrapped__", function))


def _typed(value: Any, hint: str, folder: Path, where: str) -> Any:
    """One value stands for a list of one, and a relative path for one in the file's folder; `InputError` for a value
    of another type than the option's, but for text, which is read as a flag's."""
    several = "list[" in hint
    taken, said = next((kind for name, kind in KINDS.items() if name in hint), ((bool,), "text, true or false"))
    if isinstance(value, list) and not several:
        raise InputError(f"{where} is a list (allowed: {said})")
    values = value if isinstance(value, list) else [value]
    if wrong := [one for one in values if type(one) not in (str, *taken)]:
        raise InputError(f"{where} = {wrong[0]!r} (allowed: {said}{', or a list of such' * several})")
    if "Path" in hint:
        values = [_found(one, folder) for one in values]
    return values if several else values[0]


def _found(path: str, folder: Path) -> str:
    return path if is_url(path) else str(folder / path)


def _listed(names: typing.Iterable[str]) -> str:
    return ", ".join(sorted(names))
