"""Student names to their builders; a new student is one file here and one line below."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from harness.errors import InputError
from train.students import v1, v2


class Student(NamedTuple):
    """A builder and the trainable parameters that it must yield."""

    build: Callable[[], nn.Module]
    parameters: int


STUDENTS = {
    "v1": Student(v1.build, v1.PARAMETERS),
    "v2": Student(v2.build, v2.PARAMETERS),
}


def build_student(name: str) -> nn.Module:
    """A freshly initialised student; `InputError` for an unknown name, or when its size is not as declared."""
    if name not in STUDENTS:
        raise InputError(f"unknown student {name!r} (allowed: {', '.join(STUDENTS)})")
    student = STUDENTS[name]
    module = student.build()
    parameters = trainable_parameters(module)
    if parameters != student.parameters:
        raise InputError(f"student {name} has {parameters} trainable parameters, not {student.parameters}")
    return module


def trainable_parameters(module: nn.Module) -> int:
    """How many scalars the optimiser moves."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
