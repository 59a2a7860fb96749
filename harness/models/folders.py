"""Which model folder is read, and which one is written: what an installed package ships is never changed.

A module of its own, so that it is known before anything heavy is imported.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path

from harness.errors import InputError
from harness.files import whole_folder
from harness.locks import file_held

PACKAGE = Path(__file__).parents[1]
PATIENCE = 30.0  # seconds to wait for another process that changes the folder
log = logging.getLogger(__name__)


def model_folder() -> Path:
    """`HARNESS_MODELS`, else the checkout's `model/`, else the user's folder where there is one, else the package's."""
    if chosen := _chosen():
        return chosen
    with contextlib.suppress(InputError):
        if _users().is_dir():
            return _users()
    return _shipped()


def own_model_folder() -> Path:
    """`model_folder()` to write in: beside an installed package the user's, which begins as a copy of what it ships.

    Raises `InputError` when it cannot be made.
    """
    if chosen := _chosen():
        return chosen
    users = _users()
    if not users.is_dir():
        with file_held(users, "copying the models", PATIENCE):
            if not users.is_dir():
                _copy(_shipped(), users)
                log.warning("harness: the package's models stay as they are: %s has a copy, used from now on", users)
    return users


def _chosen() -> Path | None:
    if named := os.environ.get("HARNESS_MODELS"):
        return Path(named)
    checkout = PACKAGE.parent
    return checkout / "model" if (checkout / "pyproject.toml").exists() else None


def _shipped() -> Path:
    return PACKAGE / "shipped" / "model"


def _users() -> Path:
    """`model` in the user's data folder, by the XDG convention."""
    try:
        data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    except RuntimeError as error:
        raise InputError("no home folder, so no model folder (allowed: HARNESS_MODELS or --models)") from error
    return Path(data) / "harness" / "model"


def _copy(source: Path, target: Path) -> None:
    """Without modes: what is shipped may be read-only."""
    with whole_folder(target) as part:
        for path in sorted(source.rglob("*")):
            place = part / path.relative_to(source)
            if path.is_dir():
                place.mkdir()
            else:
                shutil.copyfile(path, place)
