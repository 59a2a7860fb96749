"""`saliency_student_v4`: one look at the whole frame, dense convolutions at 1/4 and 1/2 where v3 had few.

Frames come down by whole factors first (a mean of all pixels: nothing aliases), the map goes up to half of a large
frame's size by interpolation and from there by repetition: at 1080p these steps cost as much as the network.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from train.students.blocks import Student, conv_bn, conv_bn_relu
from train.students.v3 import WORKING_SIDE, GlobalContext, Residual, doubled, resized, separable

PARAMETERS = 298_292
LARGE = 2 * WORKING_SIDE  # from this smaller side on, a frame comes down by a whole factor first


class DenseResidual(nn.Module):
    """Two Conv3x3 added to the input: `[N, channels, H, W]`, size and channels kept."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(conv_bn_relu(channels, channels), conv_bn(channels, channels, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.branch(x))


class OneLookStudent(Student):
    """v3's encoder with a dense block at 1/4, a decoder that is dense at 1/4 and 1/2, and a pointwise head.

    Takes ImageNet-normalised RGB `[N, 3, H, W]`; `outputs` trains at the size that it is given (multiples of 32).
    """

    sides_multiple_of = 1
    channels = (16, 32, 64, 96, 96)
    depths = (1, 2, 3, 1)
    up_channels = (32, 48, 64)

    def __init__(self) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth, last = self.channels
        self.stem = nn.Sequential(conv_bn_relu(3, half, 2), conv_bn_relu(half, half))
        self.to4 = conv_bn_relu(half, quarter, 2)
        self.to8 = separable(quarter, eighth, 3, 2)
        self.to16 = separable(eighth, sixteenth, 3, 2)
        self.to32 = separable(sixteenth, last, 3, 2)
        self.at4 = nn.Sequential(*(DenseResidual(quarter) for _ in range(self.depths[0])))
        self.at8 = nn.Sequential(*(Residual(eighth, 5) for _ in range(self.depths[1])))
        self.at16 = nn.Sequential(*(Residual(sixteenth, 7) for _ in range(self.depths[2])))
        self.at32 = nn.Sequential(*(Residual(last, 7, 1) for _ in range(self.depths[3])), GlobalContext(last))
        up4, up8, up16 = self.up_channels
        self.skip16, self.lift16 = conv_bn(sixteenth, up16), conv_bn(last, up16)
        self.skip8, self.lift8 = conv_bn(eighth, up8), conv_bn(up16, up8)
        self.skip4, self.lift4 = conv_bn(quarter, up4), conv_bn(up8, up4)
        self.lift2 = conv_bn(up4, half)
        self.mix16, self.mix8, self.mix4 = separable(up16, up16, 5), separable(up8, up8, 5), DenseResidual(up4)
        self.mix2 = nn.Sequential(conv_bn_relu(half, half), conv_bn_relu(half, half))
        self.head16, self.head8, self.head4 = nn.Conv2d(up16, 1, 1), nn.Conv2d(up8, 1, 1), nn.Conv2d(up4, 1, 1)
        self.head = nn.Conv2d(half, 1, 1)

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
        if torch.onnx.is_in_onnx_export():
            return spread(torch.sigmoid(doubled(self.outputs(gathered(image))[0])), image)
        height, width = image.shape[2:]
        factor = factor_for(min(height, width))
        map_ = torch.sigmoid(doubled(self.outputs(steps_of(image.double(), factor).float())[0]))
        if min(height, width) >= LARGE and height % 2 == 0 and width % 2 == 0:
            return F.interpolate(resized(map_, (height // 2, width // 2)), scale_factor=2.0, mode="nearest")
        return resized(map_, (height, width))


def factor_for(smaller_side: int) -> int:
    """By how much a frame is averaged down before it is sampled: 1, 2, 4 or 8."""
    return 1 if smaller_side < LARGE else 2 if smaller_side < 2 * LARGE else 4 if smaller_side < 4 * LARGE else 8


def steps_of(image: torch.Tensor, factor: int) -> torch.Tensor:
    """`image` `[N, 3, H, W]` at the working size: a mean over `factor`, samples at aligned corners, a mean of those.

    Over a power of two of steps float32 holds every sampling position exactly, so all runtimes sample alike.
    """
    pooled = F.avg_pool2d(image, factor) if factor > 1 else image
    over = 1 if factor > 2 else 2  # samples a cell and side: after a large factor the pixels are means already
    side = WORKING_SIDE * over + 1
    sampled = F.interpolate(pooled, size=[side, side], mode="bilinear", align_corners=True)
    return F.avg_pool2d(sampled, over + 1, over)


@torch.jit.script_if_tracing
def gathered(image: torch.Tensor) -> torch.Tensor:
    """`steps_of` with the factor chosen in the graph, by nested `If`.

    The loader admits no comparison; a number clipped to 0 or 1 and cast does for one.
    """
    sides = torch._shape_as_tensor(image)
    smaller = torch.min(sides[2], sides[3])
    if bool(torch.clamp(smaller - 511, 0, 1).to(torch.bool)):
        if bool(torch.clamp(smaller - 1023, 0, 1).to(torch.bool)):
            if bool(torch.clamp(smaller - 2047, 0, 1).to(torch.bool)):
                small = torch.nn.functional.avg_pool2d(image, 8)
            else:
                small = torch.nn.functional.avg_pool2d(image, 4)
            coarse = torch.nn.functional.interpolate(small, size=[257, 257], mode="bilinear", align_corners=True)
            seen = torch.nn.functional.avg_pool2d(coarse, 2, 1)
        else:
            half = torch.nn.functional.avg_pool2d(image, 2)
            fine = torch.nn.functional.interpolate(half, size=[513, 513], mode="bilinear", align_corners=True)
            seen = torch.nn.functional.avg_pool2d(fine, 3, 2)
    else:
        fine = torch.nn.functional.interpolate(image, size=[513, 513], mode="bilinear", align_corners=True)
        seen = torch.nn.functional.avg_pool2d(fine, 3, 2)
    return seen


@torch.jit.script_if_tracing
def spread(map_: torch.Tensor, frame: torch.Tensor) -> torch.Tensor:
    """The map at the size of `frame`; repetition doubles it for large frames of even sides."""
    height, width = frame.size(2), frame.size(3)
    odd = torch.tensor(height - height // 2 * 2 + width - width // 2 * 2)
    sides = torch._shape_as_tensor(frame)
    smaller = torch.min(sides[2], sides[3])
    if bool(torch.clamp(smaller - 511 - odd * 1000000, 0, 1).to(torch.bool)):
        half = torch.nn.functional.interpolate(
            map_, size=[height // 2, width // 2], mode="bilinear", align_corners=False
        )
        whole = torch.nn.functional.interpolate(half, scale_factor=2.0, mode="nearest")
    else:
        whole = torch.nn.functional.interpolate(map_, size=[height, width], mode="bilinear", align_corners=False)
    return whole


def build() -> Student:
    """The untrained student, 298,292 trainable parameters."""
    return OneLookStudent()
