"""Student names to their builders: a student is a module here that has `build` and `PARAMETERS`."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from torch import nn

from harness.errors import HarnessError, InputError
from train import students
from train.students.blocks import Student


class Design(NamedTuple):
    """A builder and the trainable parameters that it must yield."""

    build: Callable[[], Student]
    parameters: int


def _found() -> dict[str, Design]:
    names = (found.name for found in pkgutil.iter_modules(students.__path__))
    modules = {name: import_module(f"{students.__name__}.{name}") for name in names if name != "registry"}
    return {name: Design(m.build, m.PARAMETERS) for name, m in modules.items() if hasattr(m, "PARAMETERS")}


STUDENTS = _found()


def build_student(name: str) -> Student:
    """A fresh student; `InputError` for an unknown name, `HarnessError` when its size is not the declared one."""
    if name not in STUDENTS:
        raise InputError(f"unknown student {name!r} (allowed: {', '.join(STUDENTS)})")
    design = STUDENTS[name]
    student = design.build()
    parameters = trainable_parameters(student)
    if parameters != design.parameters:
        raise HarnessError(f"student {name} has {parameters} trainable parameters, not {design.parameters}")
    return student


def trainable_parameters(module: nn.Module) -> int:
    """How many scalars the optimiser moves."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
