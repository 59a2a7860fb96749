"""Students from recipe to registry: the only commands that reach `train/`, and torch with it."""

from __future__ import annotations

from harness.errors import InputError


def need_torch() -> None:
    """`InputError` where torch is not installed."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise InputError(
            "training needs torch: install the extra with `pip install 'mobilesal-harness[train]'`"
        ) from error
