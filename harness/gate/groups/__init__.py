"""Groups of checks, one module each: a policy names a group by its module, and finds it here."""

from __future__ import annotations

import importlib
import pkgutil
from typing import cast

from harness.errors import InputError
from harness.gate.groups.base import Group

PROTOCOL = "base"


def find_group(name: str) -> Group:
    """The group of a name; `InputError` lists what exists."""
    known = sorted(found.name for found in pkgutil.iter_modules(__path__) if found.name != PROTOCOL)
    if name not in known:
        raise InputError(f"policy: groups: unknown group {name!r} (allowed: {', '.join(known)})")
    return cast(Group, importlib.import_module(f"{__name__}.{name}"))
