"""A recipe: one small TOML file plus overrides."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.files import read_toml

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, besides corpus and device.

    `smallest_view`: None cuts squares of `crop_size`; else each side of a box keeps a share in [it, 1] of the frame
    and is scaled to `crop_size`, in the first `small_epochs` epochs to `small_size`. `widest_view` above 1 lets half
    of the views reach so far over the frame, which shrinks what is in it. `ema` is a decay per step.

    With a `frame_side` pictures are kept as squares of that side, and views and looks are made on the device. Then
    views also turn by up to `turn` degrees, and shares of them are `grey`, get a box of another picture (`paste`), or
    are softened (`blur`), but for the last `calm_epochs`. On CUDA a teacher looks at each view, or once at each picture
    with `teacher_sees` = "frame", as it does on the CPU.
    """

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
    weight_decay: float = 0.0
    ema: float = 0.0
    side_weight: float = 0.0
    smallest_view: float | None = None
    widest_view: float = 1.0
    small_size: int = 256
    small_epochs: int = 0
    colour: float = 0.0
    compression: float = 0.0
    val_view: str = "crop"
    frame_side: int | None = None
    turn: float = 0.0
    grey: float = 0.0
    paste: float = 0.0
    blur: float = 0.0
    validate_every: int = 1
    calm_epochs: int = 0
    teacher_sees: str = "view"

    def size_at(self, epoch: int) -> int:
        """The side of the training pictures in `epoch`, from 1."""
        return self.small_size if epoch <= self.small_epochs else self.crop_size

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain values."""
        return asdict(self)


def load_recipe(student: str, path: Path | None = None, **overrides: Any) -> Recipe:
    """The shipped recipe of `student`, or the file at `path`; overrides that are None are left out."""
    path = path or RECIPES / f"{student}.toml"
    try:
        values = read_toml(path)
    except InputError as error:
        shipped = ", ".join(sorted(file.stem for file in RECIPES.glob("*.toml")))
        raise InputError(f"no recipe: {error} (shipped: {shipped})") from error
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


def recipe_from(values: dict[str, Any], folder: Path) -> Recipe:
    """The recipe that a run's `run.json` holds; `InputError` for keys or values that no recipe has."""
    try:
        recipe = Recipe(**values)
    except TypeError as error:
        raise InputError(f"{folder}: its recipe is none: {str(error).rpartition('() ')[2]}") from error
    for field in fields(Recipe):
        _check(folder, field.name, getattr(recipe, field.name))
    return recipe


def overrides_of(changes: Sequence[str], **said: Any) -> dict[str, Any]:
    """`key=value` texts, values as TOML writes them, to what `load_recipe` takes; `InputError` for anything else.

    `said` are keys that have an option of their own, None where it was not given; a key may be said once.

    >>> overrides_of(["ema=0.99", "val_view=whole"], epochs=2, seed=None)
    {'epochs': 2, 'ema': 0.99, 'val_view': 'whole'}
    """
    overrides = {key: value for key, value in said.items() if value is not None}
    known = {field.name for field in fields(Recipe)} - {"student"}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or key not in known:
            raise InputError(f"cannot set {change!r} (allowed: KEY=VALUE, KEY one of {', '.join(sorted(known))})")
        if key in overrides:
            raise InputError(f"{key} is set twice: {overrides[key]} and {value} (allowed: once)")
        try:
            overrides[key] = tomllib.loads(f"value = {value}")["value"]
        except (ValueError, RecursionError):
            overrides[key] = value
    return overrides


def changes_of(recipe: Recipe) -> str:
    """How a recipe differs from the shipped one of its student, as `--set` would say it; empty when it doesn't."""
    shipped = load_recipe(recipe.student).as_dict() | {"seed": recipe.seed}
    return " ".join(f"{key}={value}" for key, value in recipe.as_dict().items() if shipped[key] != value)


def _check(path: Path, key: str, value: object) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    number = float(str(value)) if whole or isinstance(value, float) else None
    if key in ("student", "optimizer", "schedule", "loss"):
        good, allowed = isinstance(value, str), "a name"
    elif key == "val_view":
        good, allowed = value in ("crop", "whole"), "crop or whole"
    elif key == "teacher_sees":
        good, allowed = value in ("view", "frame"), "view or frame"
    elif key in ("lr", "val_fraction"):
        good, allowed = number is not None and number > 0, "a number above 0"
    elif key in ("ema", "colour", "compression", "grey", "paste", "blur"):
        good, allowed = number is not None and 0 <= number < 1, "a number from 0 to below 1"
    elif key in ("weight_decay", "side_weight", "turn"):
        good, allowed = number is not None and number >= 0, "a number, 0 or more"
    elif key == "smallest_view":
        good, allowed = value is None or (number is not None and 0 < number <= 1), "a number above 0, at most 1"
    elif key == "widest_view":
        good, allowed = number is not None and 1 <= number <= 2, "a number from 1 to 2"
    elif key in ("seed", "val_seed", "small_epochs", "calm_epochs"):
        good, allowed = whole and int(str(value)) >= 0, "0 or more"
    else:
        absent = key in ("limit", "frame_side") and value is None
        good, allowed = (whole and int(str(value)) > 0) or absent, "a whole number above 0"
    if not good:
        raise InputError(f"{path}: {key} is {value!r} (allowed: {allowed})")
