"""The teacher: a network 15 times a student's size whose maps students learn from; it is trained here and not shipped.

Small U-Nets within a U-Net, after the idea of U2-Net (Qin et al., Pattern Recognition 2020), in a size that a GPU
trains in minutes: full width only from a quarter of the frame's size on, nearest-neighbour steps upwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from train.students.blocks import Student, conv_bn_relu
from train.students.frames import WholeFrame

PARAMETERS = 4_543_285


def dilated(inputs: int, outputs: int, dilation: int) -> nn.Sequential:
    """Conv3x3 of so many steps between its taps, batch normalisation, ReLU; the size is kept."""
    conv = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class InnerUNet(nn.Module):
    """A small U-Net added to its own input: `[N, inputs, H, W]` to `[N, outputs, H, W]`.

    `depth` convolutions on the way down, each but the first at half the size of the one before; with `steps`, the
    dilation of each, the size stays. H and W must be multiples of 2 to the `depth` - 1 without `steps`.
    """

    def __init__(self, inputs: int, middle: int, outputs: int, depth: int = 0, steps: Sequence[int] = ()) -> None:
        super().__init__()
        self.pooled = not steps
        steps = steps or (1,) * depth
        self.enter = conv_bn_relu(inputs, outputs)
        self.down = nn.ModuleList(dilated(outputs if i == 0 else middle, middle, step) for i, step in enumerate(steps))
        self.bottom = dilated(middle, middle, 2 * steps[-1])
        self.up = nn.ModuleList(
            dilated(2 * middle, outputs if i == 0 else middle, step) for i, step in enumerate(steps)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        entered = x = self.enter(x)
        kept = []
        for level, layer in enumerate(self.down):
            x = layer(F.max_pool2d(x, 2) if level and self.pooled else x)
            kept.append(x)
        x = self.bottom(x)
        for level in reversed(range(len(kept))):
            x = self.up[level](torch.cat((x, kept[level]), 1))
            if level and self.pooled:
                x = F.interpolate(x, scale_factor=2.0)
        return entered + x


class Teacher(WholeFrame):
    """Inner U-Nets at 1/2 down to 1/32 and back up to 1/2, a side output at each size.

    Takes ImageNet-normalised RGB `[N, 3, H, W]`; `outputs` wants sides that are multiples of 32.
    """

    channels = (32, 80, 128, 192, 192)
    middles = (24, 48, 64, 64, 64)
    depths = (5, 4, 3)
    steps = (1, 2, 4)

    def __init__(self) -> None:
        super().__init__()
        first, second, third, fourth, fifth = self.channels
        m1, m2, m3, m4, m5 = self.middles
        d1, d2, d3 = self.depths
        self.stem = conv_bn_relu(3, first, 2)
        self.down1 = InnerUNet(first, m1, first, d1)
        self.down2 = InnerUNet(first, m2, second, d2)
        self.down3 = InnerUNet(second, m3, third, d3)
        self.down4 = InnerUNet(third, m4, fourth, steps=self.steps)
        self.down5 = InnerUNet(fourth, m5, fifth, steps=self.steps[:2])
        self.up4 = InnerUNet(fourth + fifth, m4, third, steps=self.steps)
        self.up3 = InnerUNet(third + third, m3, second, d3)
        self.up2 = InnerUNet(second + second, m2, first, d2)
        self.up1 = InnerUNet(first + first, m1, first, d1)
        widths = (first, first, second, third, fifth)
        self.heads = nn.ModuleList(nn.Conv2d(width, 1, 3, padding=1) for width in widths)

    def outputs(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits at 1/2 of the input's size, then the side outputs at 1/4, 1/8, 1/16 and 1/32."""
        half = self.down1(self.stem(image))
        quarter = self.down2(F.max_pool2d(half, 2))
        eighth = self.down3(F.max_pool2d(quarter, 2))
        sixteenth = self.down4(F.max_pool2d(eighth, 2))
        at32 = self.down5(F.max_pool2d(sixteenth, 2))
        at16 = self.up4(torch.cat((F.interpolate(at32, scale_factor=2.0), sixteenth), 1))
        at8 = self.up3(torch.cat((F.interpolate(at16, scale_factor=2.0), eighth), 1))
        at4 = self.up2(torch.cat((F.interpolate(at8, scale_factor=2.0), quarter), 1))
        at2 = self.up1(torch.cat((F.interpolate(at4, scale_factor=2.0), half), 1))
        return tuple(head(at) for head, at in zip(self.heads, (at2, at4, at8, at16, at32), strict=True))


def build() -> Student:
    """The untrained teacher."""
    return Teacher()
