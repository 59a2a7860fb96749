"""What a run folder says of itself, as short as its schema allows."""

from __future__ import annotations

from typing import Any


def about(**changes: Any) -> dict[str, Any]:
    """A `run.json` of one epoch of v1, with `changes` to its keys."""
    recipe = {
        "student": "v1", "epochs": 1, "batch_size": 8, "lr": 0.001, "crop_size": 32, "seed": 42, "loss": "bce+dice",
        "optimizer": "adam", "schedule": "cosine", "limit": None,
    }  # fmt: skip
    machine = {"device": "cpu", "processor": "a processor", "threads": 1}
    rest = {"pairs": 32, "listing_sha256": "0" * 64, "versions": {}}
    return {"recipe": recipe, "machine": machine} | rest | changes
