"""Where the models lie; a module of its own, so that it is known before anything heavy is imported."""

from __future__ import annotations

import os
from pathlib import Path


def model_folder() -> Path:
    """`HARNESS_MODELS`, else the checkout's `model/`, else the copy inside the installed package."""
    if chosen := os.environ.get("HARNESS_MODELS"):
        return Path(chosen)
    package = Path(__file__).parents[1]
    checkout = package.parent
    return checkout / "model" if (checkout / "pyproject.toml").exists() else package / "shipped" / "model"
