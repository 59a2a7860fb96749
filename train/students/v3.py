"""`saliency_student_v3`: sees the whole frame at one working size, whatever the frame's own size is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from train.students.blocks import Student, conv_bn, conv_bn_relu

PARAMETERS = 297_120
WORKING_SIDE = 256
OVERSAMPLING = 2  # Resize in opset 17 has no antialias: take more samples than needed, then average them


def separable(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Depthwise then pointwise convolution, then ReLU."""
    return nn.Sequential(
        conv_bn(inputs, inputs, kernel, stride, groups=inputs), conv_bn(inputs, outputs), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    """Large depthwise kernel for context, two pointwise convolutions for the channels, added to the input."""

    def __init__(self, channels: int, kernel: int, expansion: int = 2) -> None:
        super().__init__()
        wide = channels * expansion
        self.branch = nn.Sequential(
            conv_bn(channels, channels, kernel, groups=channels),
            conv_bn(channels, wide), nn.ReLU(inplace=True), conv_bn(wide, channels),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.branch(x))


class GlobalContext(nn.Module):
    """Adds what the whole frame says, its mean through two pointwise layers, to every position."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels // 2, 1), nn.ReLU(inplace=True), nn.Conv2d(channels // 2, channels, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        added: torch.Tensor = self.layers(x.mean((2, 3), keepdim=True))
        return x + added


class WholeFrameStudent(Student):
    """Narrow and dense at 1/2 and 1/4, depthwise-separable residuals down to 1/32, additive skips back up to 1/2.

    Takes ImageNet-normalised RGB `[N, 3, H, W]` of any size >= 16: `forward` scales it to the working size, looks at it
    and at its mirror image, and scales the mean back; `outputs` trains at the size that it is given (multiples of 32).
    """

    sides_multiple_of = 1
    views_multiple_of = 32
    channels = (16, 32, 64, 96, 104)
    depths = (1, 2, 3, 2)
    up_channels = (32, 48, 64)

    def __init__(self) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth, last = self.channels
        self.stem = conv_bn_relu(3, half, 2)
        self.to4 = conv_bn_relu(half, quarter, 2)
        self.to8 = separable(quarter, eighth, 3, 2)
        self.to16 = separable(eighth, sixteenth, 3, 2)
        self.to32 = separable(sixteenth, last, 3, 2)
        self.at4 = nn.Sequential(*(Residual(quarter, 3) for _ in range(self.depths[0])))
        self.at8 = nn.Sequential(*(Residual(eighth, 5) for _ in range(self.depths[1])))
        self.at16 = nn.Sequential(*(Residual(sixteenth, 7) for _ in range(self.depths[2])))
        self.at32 = nn.Sequential(*(Residual(last, 7, 1) for _ in range(self.depths[3])), GlobalContext(last))
        up4, up8, up16 = self.up_channels
        self.skip16, self.lift16 = conv_bn(sixteenth, up16), conv_bn(last, up16)
        self.skip8, self.lift8 = conv_bn(eighth, up8), conv_bn(up16, up8)
        self.skip4, self.lift4 = conv_bn(quarter, up4), conv_bn(up8, up4)
        self.lift2 = conv_bn(up4, half)
        self.mix16, self.mix8, self.mix4 = separable(up16, up16, 5), separable(up8, up8, 5), separable(up4, up4, 5)
        self.mix2 = conv_bn_relu(half, half)
        self.head16, self.head8, self.head4 = nn.Conv2d(up16, 1, 1), nn.Conv2d(up8, 1, 1), nn.Conv2d(up4, 1, 1)
        self.head = nn.Conv2d(half, 1, 3, padding=1)

    def outputs(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits at 1/2 of the input's size, then the side outputs at 1/4, 1/8 and 1/16."""
        half = self.stem(image)
        quarter = self.at4(self.to4(half))
        eighth = self.at8(self.to8(quarter))
        sixteenth = self.at16(self.to16(eighth))
        deep = self.at32(self.to32(sixteenth))
        deep = at16 = self.mix16(F.relu(self.skip16(sixteenth) + doubled(self.lift16(deep))))
        deep = at8 = self.mix8(F.relu(self.skip8(eighth) + doubled(self.lift8(deep))))
        deep = at4 = self.mix4(F.relu(self.skip4(quarter) + doubled(self.lift4(deep))))
        deep = self.mix2(F.relu(half + doubled(self.lift2(deep))))
        return self.head(deep), self.head4(at4), self.head8(at8), self.head16(at16)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        # Over a power of two of steps float32 holds every sampling position exactly, so all runtimes sample alike.
        side = WORKING_SIDE * OVERSAMPLING + 1
        seen = F.avg_pool2d(resized(image, (side, side), align_corners=True), OVERSAMPLING + 1, OVERSAMPLING)
        logits = self.outputs(torch.cat((seen, seen.flip(3))))[0]
        logits = (logits[: image.shape[0]] + logits[image.shape[0] :].flip(3)) / 2
        # Logits jump by tens from cell to cell: scaling those by fractions would magnify a position's last bit.
        return resized(torch.sigmoid(doubled(logits)), image.shape[2:])


def resized(x: torch.Tensor, size: Sequence[int], align_corners: bool = False) -> torch.Tensor:
    """`x` scaled to `size` (height, width), bilinear; PyTorch alone would round the sampling positions coarsely."""
    if torch.onnx.is_in_onnx_export():
        return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)
    return F.interpolate(x.double(), size=size, mode="bilinear", align_corners=align_corners).to(x.dtype)


def doubled(x: torch.Tensor) -> torch.Tensor:
    """`[N, C, H, W]` to `[N, C, 2H, 2W]`, bilinear."""
    if x.is_cuda and x.requires_grad:
        return Doubled.apply(x)
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class Doubled(torch.autograd.Function):
    """`doubled` with a gradient that gathers: torch's own scatters by atomic additions, slow and in no fixed order."""

    @staticmethod
    def forward(_: Any, x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)

    @staticmethod
    def backward(_: Any, gradient: torch.Tensor) -> torch.Tensor:
        # Weights 1 3 3 1 over 4 along each side, which is three means of two and a factor of 2.
        padded = F.pad(gradient, (1, 1, 1, 1), mode="replicate")
        return 4 * F.avg_pool2d(F.avg_pool2d(F.avg_pool2d(padded, 2, 1), 2, 1), 2, 2)


def build() -> Student:
    """The untrained student, 297,120 trainable parameters."""
    return WholeFrameStudent()
