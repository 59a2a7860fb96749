"""The models that ship: registry, sidecars, hashes, and which one is in production."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.files import read_json

PRODUCTION = "production"


@dataclass(frozen=True)
class ModelFile:
    """A model that was asked for: its name in tables, its file, and the hash it must have, if one is known."""

    name: str
    path: Path
    sha256: str | None


def model_folder() -> Path:
    """`HARNESS_MODELS`, else the checkout's `model/`, else the copy inside the installed package."""
    if chosen := os.environ.get("HARNESS_MODELS"):
        return Path(chosen)
    package = Path(__file__).parent
    beside = package.parent / "model"
    return beside if (beside / "tiny").is_dir() else package / "shipped" / "model"


def entries(folder: Path | None = None) -> list[dict[str, Any]]:
    """The registry's `models`, in file order."""
    path = (folder or model_folder()) / "tiny" / "registry.json"
    return list(read_json(path)["models"])


def find_model(asked: str, folder: Path | None = None) -> ModelFile:
    """A registry id, `production`, or a path, to a `ModelFile`; `InputError` lists what exists."""
    folder = folder or model_folder()
    if asked == PRODUCTION:
        pointer = read_json(folder / "production.json")["mobilesal"]
        return find_model(pointer["id"], folder)
    for entry in entries(folder):
        if entry["id"] == asked:
            return ModelFile(asked, folder / "tiny" / entry["onnx"], entry["sha256"])
    path = Path(asked)
    if path.suffix == ".onnx" or path.exists():
        if not path.is_file():
            raise InputError(f"model {asked}: no such file")
        return ModelFile(path.stem, path, None)
    known = ", ".join([PRODUCTION, *(entry["id"] for entry in entries(folder))])
    raise InputError(f"unknown model {asked!r} (allowed: {known}, or a path to an .onnx file)")
