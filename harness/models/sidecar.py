"""What the JSON beside a model file says of its training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.files import check_schema, read_json

SCHEMA = Path(__file__).parent / "sidecar.schema.json"


def read_training(path: Path) -> dict[str, Any]:
    """The `training` of the sidecar at `path`; empty where it says nothing of it, `InputError` for what is none."""
    content = read_json(path)
    check_schema(content, SCHEMA, str(path))
    training: dict[str, Any] = content.get("training") or {}
    return training


def check_training(training: Any, where: str) -> None:
    """`InputError`, which begins with `where`, for what no sidecar may say of a training."""
    check_schema({"training": training}, SCHEMA, where)
