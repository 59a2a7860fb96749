"""Student names to their builders; a new student is one file here and one line below."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from harness.errors import HarnessError, InputError
from train.students import teacher, v1, v2, v3, v4
from train.students.blocks import Student


class Design(NamedTuple):
    """A builder and the trainable parameters that it must yield."""

    build: Callable[[], Student]
    parameters: int


STUDENTS = {
    "v1": Design(v1.build, v1.PARAMETERS),
    "v2": Design(v2.build, v2.PARAMETERS),
    "v3": Design(v3.build, v3.PARAMETERS),
    "v4": Design(v4.build, v4.PARAMETERS),
    "teacher": Design(teacher.build, teacher.PARAMETERS),
}


def build_student(name: str) -> Student:
    """A freshly initialised student; `InputError` for an unknown name, or when its size is not as declared."""
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
