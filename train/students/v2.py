"""`saliency_student_v2`: the same U-Net, its decoder doubling the size by Resize and Conv."""

from __future__ import annotations

from torch import nn

from train.students.blocks import Student, UNetStudent

PARAMETERS = 123_721


class ResizeUp(nn.Sequential):
    """`[N, inputs, H, W]` to `[N, outputs, 2H, 2W]`: bilinear x2, then Conv3x3 without bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        )


def build() -> Student:
    """The untrained student, 123,721 trainable parameters."""
    return UNetStudent(ResizeUp)
