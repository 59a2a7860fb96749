"""`saliency_student_v4`: one look at the whole frame, dense convolutions at 1/4 and 1/2 where v3 had few."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from train.students.blocks import Student, conv_bn, conv_bn_relu
from train.students.frames import WholeFrame
from train.students.v3 import GlobalContext, Residual, doubled, separable

PARAMETERS = 298_292


class DenseResidual(nn.Module):
    """Two Conv3x3 added to the input: `[N, channels, H, W]`, size and channels kept."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(conv_bn_relu(channels, channels), conv_bn(channels, channels, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.branch(x))


class OneLookStudent(WholeFrame):
    """v3's encoder with a dense block at 1/4, a decoder that is dense at 1/4 and 1/2, and a pointwise head.

    Takes ImageNet-normalised RGB `[N, 3, H, W]`; `outputs` trains at the size that it is given (multiples of 32).
    """

    shift, scale = -1.0, 1.5  # a loss of overlap predicts too much, a teacher's soft maps teach caution
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
        half, quarter, eighth, at16 = self.coarse(image)
        at2, at4, at8 = self.fine(half, quarter, eighth, at16)
        return self.head(at2), self.head4(at4), self.head8(at8), self.head16(at16)

    def coarse(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What the encoder finds at 1/2, 1/4 and 1/8 of the input's size, and what the decoder makes of it at 1/16."""
        half = self.stem(image)
        quarter = self.at4(self.to4(half))
        eighth = self.at8(self.to8(quarter))
        sixteenth = self.at16(self.to16(eighth))
        deep = self.at32(self.to32(sixteenth))
        return half, quarter, eighth, self.mix16(F.relu(self.skip16(sixteenth) + doubled(self.lift16(deep))))

    def fine(
        self, half: torch.Tensor, quarter: torch.Tensor, eighth: torch.Tensor, at16: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """What the decoder makes of `coarse` at 1/2, 1/4 and 1/8 of the input's size."""
        at8 = self.mix8(F.relu(self.skip8(eighth) + doubled(self.lift8(at16))))
        at4 = self.mix4(F.relu(self.skip4(quarter) + doubled(self.lift4(at8))))
        return self.mix2(F.relu(half + doubled(self.lift2(at4)))), at4, at8


def build() -> Student:
    """The untrained student, 298,292 trainable parameters."""
    return OneLookStudent()
