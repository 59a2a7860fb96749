"""Any frame to the working size and the map back to the frame's size, as cheap and as exact as opset 17 allows.

Frames come down by whole factors first (a mean of all pixels: nothing aliases), the map goes up to half of a large
frame's size by interpolation and from there by repetition: at 1080p these steps cost as much as a small network.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from train.students.blocks import Student
from train.students.v3 import WORKING_SIDE, doubled, resized

LARGE = 2 * WORKING_SIDE  # from this smaller side on, a frame comes down by a whole factor first


class WholeFrame(Student):
    """A student whose `forward` takes ImageNet-normalised RGB `[N, 3, H, W]` of any size >= 16, to `[N, 1, H, W]`.

    Its `outputs` sees the frame at the working size. `shift` and `scale` of the logits are chosen on the validation
    fold after training.
    """

    sides_multiple_of = 1
    views_multiple_of = 32
    shift, scale = 0.0, 1.0

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        height, width = image.shape[2:]
        tracing = torch.onnx.is_in_onnx_export()
        seen = gathered(image) if tracing else steps_of(image.double(), factor_for(min(height, width))).float()
        map_ = self.map_of(seen)
        if tracing:
            return spread(map_, image)
        if min(height, width) >= LARGE and height % 2 == 0 and width % 2 == 0:
            return F.interpolate(resized(map_, (height // 2, width // 2)), scale_factor=2.0, mode="nearest")
        return resized(map_, (height, width))

    def map_of(self, seen: torch.Tensor) -> torch.Tensor:
        """The map `[N, 1, S, S]` of a frame `[N, 3, S, S]` at a working size."""
        return self.map_from(self.outputs(seen)[0])

    def map_from(self, logits: torch.Tensor) -> torch.Tensor:
        """The map `[N, 1, S, S]` that logits `[N, 1, S/2, S/2]` say."""
        # Logits jump by tens from cell to cell: scaling those by fractions would magnify a position's last bit.
        return torch.sigmoid(doubled((logits + self.shift) * self.scale))


def factor_for(smaller_side: int) -> int:
    """By how much a frame is averaged down before it is sampled: 1, 2, 4 or 8."""
    return 1 if smaller_side < LARGE else 2 if smaller_side < 2 * LARGE else 4 if smaller_side < 4 * LARGE else 8


def steps_of(image: torch.Tensor, factor: int, working_side: int = WORKING_SIDE) -> torch.Tensor:
    """`image` `[N, 3, H, W]` at the working size: a mean over `factor`, samples at aligned corners, a mean of those.

    Over a power of two of steps float32 holds every sampling position exactly, so all runtimes sample alike.
    """
    pooled = F.avg_pool2d(image, factor) if factor > 1 else image
    over = 1 if factor > 2 else 2  # samples a cell and side: after a large factor the pixels are means already
    side = working_side * over + 1
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
