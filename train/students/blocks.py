"""The building blocks that students share, and the U-Net of v1 and v2."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


def conv_bn(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution without bias, size kept (over `stride`), and batch normalisation."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def conv_bn_relu(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Conv3x3 without bias, batch normalisation, ReLU: `[N, inputs, H, W]` to `[N, outputs, H, W]` over `stride`."""
    return nn.Sequential(*conv_bn(inputs, outputs, 3, stride), nn.ReLU(inplace=True))


class Student(nn.Module):
    """A saliency network: `outputs` for the loss, `forward` for the map.

    `sides_multiple_of` says which frame sizes `forward` takes; the extractor pads to multiples of 8.
    `views_multiple_of` says which sides of training views `outputs` takes.
    """

    sides_multiple_of = 8
    views_multiple_of = 8

    def outputs(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What the loss compares with the truth: logits `[N, 1, h, w]`, then those of the side outputs, if any."""
        raise NotImplementedError


class UNetStudent(Student):
    """The three-level U-Net of v1 and v2; they differ only in `up(inputs, outputs)`.

    Takes ImageNet-normalised RGB `[N, 3, H, W]`, sides multiples of 8.
    """

    channels = (16, 32, 48)
    decoder_channels = (32, 16, 8)

    def __init__(self, up: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        narrow, middle, wide = self.channels
        self.enc1 = nn.Sequential(conv_bn_relu(3, narrow), conv_bn_relu(narrow, narrow))
        self.enc2 = nn.Sequential(conv_bn_relu(narrow, middle), conv_bn_relu(middle, middle))
        self.enc3 = nn.Sequential(conv_bn_relu(middle, wide), conv_bn_relu(wide, wide))
        self.pool = nn.MaxPool2d(2)
        self.bottleneck = conv_bn_relu(wide, wide)
        third, second, first = self.decoder_channels
        self.up3, self.dec3 = up(wide, wide - 16), conv_bn_relu(wide - 16 + wide, third)
        self.up2, self.dec2 = up(third, second), conv_bn_relu(second + middle, second)
        self.up1, self.dec1 = up(second, first), conv_bn_relu(first + narrow, first)
        self.head = nn.Conv2d(first, 1, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.outputs(image)[0])

    def outputs(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        skip1 = self.enc1(image)
        skip2 = self.enc2(self.pool(skip1))
        skip3 = self.enc3(self.pool(skip2))
        deep = self.bottleneck(self.pool(skip3))
        deep = self.dec3(torch.cat((self.up3(deep), skip3), dim=1))
        deep = self.dec2(torch.cat((self.up2(deep), skip2), dim=1))
        deep = self.dec1(torch.cat((self.up1(deep), skip1), dim=1))
        return (self.head(deep),)
