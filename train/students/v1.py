"""`saliency_student_v1`: U-Net whose decoder doubles the size by transposed convolution."""

from __future__ import annotations

from torch import nn

from train.students.blocks import Student, UNetStudent

PARAMETERS = 112_841


class TransposedUp(nn.ConvTranspose2d):
    """`[N, inputs, H, W]` to `[N, outputs, 2H, 2W]` by a 2x2 transposed convolution of stride 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, kernel_size=2, stride=2, bias=False)


def build() -> Student:
    """The untrained student, 112,841 trainable parameters."""
    return UNetStudent(TransposedUp)
