"""A recipe: one small TOML file plus overrides."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from harness.errors import InputError

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, besides corpus and device."""

    student: str
    epochs: int = 50
    batch_size: int = 32
    lr: float = 1e-3
    optimizer: str = "adam"
    schedule: str = "cosine"
    loss: str = "bce+dice"
    short_side: int = 288
    crop_size: int = 256
    val_short_side: int = 256
    val_fraction: float = 0.05
    val_seed: int = 42
    seed: int = 42
    limit: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain values."""
        return asdict(self)


def load_recipe(student: str, path: Path | None = None, **overrides: Any) -> Recipe:
    """The shipped recipe of `student`, or the file at `path`; overrides that are None are left out."""
    path = path or RECIPES / f"{student}.toml"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        shipped = ", ".join(sorted(file.stem for file in RECIPES.glob("*.toml")))
        raise InputError(f"no recipe {path} ({error.strerror}; shipped: {shipped})") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not TOML: {error}") from error
    known = {field.name for field in fields(Recipe)}
    if unknown := sorted(values.keys() - known):
        raise InputError(f"{path}: unknown key {unknown[0]!r} (allowed: {', '.join(sorted(known))})")
    if values.get("student", student) != student:
        raise InputError(f"{path} is a recipe for {values['student']!r}, not for {student!r}")
    values |= {"student": student} | {key: value for key, value in overrides.items() if value is not None}
    recipe = Recipe(**values)
    for field in fields(Recipe):
        _check(path, field.name, getattr(recipe, field.name))
    return recipe


def _check(path: Path, key: str, value: object) -> None:
    names, whole = ("student", "optimizer", "schedule", "loss"), isinstance(value, int) and not isinstance(value, bool)
    if key in names:
        good, allowed = isinstance(value, str), "a name"
    elif key in ("lr", "val_fraction"):
        good, allowed = (whole or isinstance(value, float)) and float(str(value)) > 0, "a number above 0"
    elif key in ("seed", "val_seed"):
        good, allowed = whole and int(str(value)) >= 0, "0 or more"
    else:
        good, allowed = (whole and int(str(value)) > 0) or (key == "limit" and value is None), "a whole number above 0"
    if not good:
        raise InputError(f"{path}: {key} is {value!r} (allowed: {allowed})")
