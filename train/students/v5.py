"""v4's network, which hears of a small frame's mirror image too, and whose way from a large frame is shorter.

Below 512 lines a frame is seen at 288x288, and its mirror image as far as 1/16: that takes three fifths of the time of
another look and gives nearly as much. From there on it is seen once, at 256x256: reading it and giving the map back
cost as much as a small network then. A mean over 4x2 pixels and one over 1x2 of those take two thirds of the time of
one over 4x4 (onnxruntime adds up whole rows for strides of at most 2), and the map goes up to a quarter of a large
frame by interpolation, then by repetition.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from train.students.blocks import Student
from train.students.frames import factor_for
from train.students.frames import spread as once_repeated
from train.students.v3 import WORKING_SIDE, doubled
from train.students.v4 import PARAMETERS, OneLookStudent

__all__ = ["PARAMETERS", "build"]

SMALL_SIDE = 288  # of the look at a frame that is not averaged down first
MIRRORED = 0.35  # what a small frame's mirror image has of the logits


class FinerLook(OneLookStudent):
    """v4's network at a working size of 288 or 256. Takes ImageNet-normalised RGB `[N, 3, H, W]`, sides >= 16."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if torch.onnx.is_in_onnx_export():
            *scales, at16 = self.coarse(gathered(image))
            first = [scale[:1] for scale in (*scales, at16)]
            logits = together(self.head(self.fine(*first)[0]), self.head16(at16), image, MIRRORED)
            return spread(self.map_from(logits), image)
        height, width = image.shape[2:]
        seen = steps_of(image.double()).float()
        logits = self.outputs(seen)[0]
        if factor_for(min(height, width)) == 1:
            coarse = self.head16(self.coarse(seen.flip(3))[-1]).flip(3)
            logits = torch.lerp(logits, doubled(doubled(doubled(coarse))), MIRRORED)
        times = times_for(height, width)
        map_ = at_centres(self.map_from(logits).double(), (height // times, width // times)).float()
        return map_ if times == 1 else F.interpolate(map_, scale_factor=float(times))


def times_for(height: int, width: int) -> int:
    """How often the map's values are repeated along each side: as often as whole numbers and the frame's size allow."""
    wanted = {1: 1, 2: 2}.get(factor_for(min(height, width)), 4)
    return next(times for times in (4, 2, 1) if times <= wanted and height % times == width % times == 0)


def steps_of(image: torch.Tensor) -> torch.Tensor:
    """`image` float64 `[N, 3, H, W]` at the working size: a mean over a whole factor, samples, a mean of those."""
    factor = factor_for(min(image.shape[2:]))
    if factor == 1:
        return F.avg_pool2d(at_corners(image, 2 * SMALL_SIDE + 1), 3, 2)
    return F.avg_pool2d(at_corners(F.avg_pool2d(image, factor), WORKING_SIDE + 1), 2, 1)


def at_corners(image: torch.Tensor, side: int) -> torch.Tensor:
    """`image` `[N, 3, H, W]` sampled at `[N, 3, side, side]`, corners aligned."""
    steps = torch.arange(side, dtype=torch.float32)
    for axis in (2, 3):
        image = along(image, axis, steps * (image.shape[axis] - 1) / (side - 1))
    return image


def at_centres(map_: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """`map_` `[N, 1, S, S]` sampled at `[N, 1, *size]`, each at the middle of its pixel."""
    for axis, length in zip((2, 3), size, strict=True):
        scale = torch.tensor(length, dtype=torch.float32) / map_.shape[axis]
        map_ = along(map_, axis, (torch.arange(length, dtype=torch.float32) + 0.5) / scale - 0.5)
    return map_


def along(image: torch.Tensor, axis: int, where: torch.Tensor) -> torch.Tensor:
    """`image` sampled linearly along `axis` at positions float32, which are rounded as onnxruntime rounds them.

    288 is no power of two: float32 does not hold every position, and exact ones would give another map.
    """
    last, where = image.shape[axis] - 1, where.clamp(0, image.shape[axis] - 1)
    low = where.long()
    between = (where - low).to(image.dtype).view([-1 if each == axis else 1 for each in range(4)])
    return torch.lerp(image.index_select(axis, low), image.index_select(axis, (low + 1).clamp(max=last)), between)


@torch.jit.script_if_tracing
def gathered(image: torch.Tensor) -> torch.Tensor:
    """`steps_of` with the factor chosen in the graph, by nested `If`, and the mirrored look behind."""
    sides = torch._shape_as_tensor(image)
    smaller = torch.min(sides[2], sides[3])
    if bool(torch.clamp(smaller - 511, 0, 1).to(torch.bool)):
        if bool(torch.clamp(smaller - 1023, 0, 1).to(torch.bool)):
            if bool(torch.clamp(smaller - 2047, 0, 1).to(torch.bool)):
                small = torch.nn.functional.avg_pool2d(image, 8)
            else:
                small = torch.nn.functional.avg_pool2d(torch.nn.functional.avg_pool2d(image, [4, 2]), [1, 2])
        else:
            small = torch.nn.functional.avg_pool2d(image, 2)
        coarse = torch.nn.functional.interpolate(small, size=[257, 257], mode="bilinear", align_corners=True)
        seen = torch.nn.functional.avg_pool2d(coarse, 2, 1)
    else:
        fine = torch.nn.functional.interpolate(image, size=[577, 577], mode="bilinear", align_corners=True)
        look = torch.nn.functional.avg_pool2d(fine, 3, 2)
        seen = torch.cat([look, torch.flip(look, [3])])
    return seen


@torch.jit.script_if_tracing
def together(logits: torch.Tensor, coarse: torch.Tensor, frame: torch.Tensor, share: float) -> torch.Tensor:
    """Logits `[1, 1, S/2, S/2]` with a share of `coarse` at 1/16, where a small frame's mirror image has the second."""
    sides = torch._shape_as_tensor(frame)
    if bool(torch.clamp(torch.min(sides[2], sides[3]) - 511, 0, 1).to(torch.bool)):
        mean = logits
    else:
        mirrored = torch.flip(coarse[1:], [3])
        # three times by 2 is smoother than once by 8, and better on the fold
        mirrored = torch.nn.functional.interpolate(mirrored, scale_factor=2.0, mode="bilinear", align_corners=False)
        mirrored = torch.nn.functional.interpolate(mirrored, scale_factor=2.0, mode="bilinear", align_corners=False)
        mirrored = torch.nn.functional.interpolate(mirrored, scale_factor=2.0, mode="bilinear", align_corners=False)
        mean = logits * (1 - share) + mirrored * share
    return mean


@torch.jit.script_if_tracing
def spread(map_: torch.Tensor, frame: torch.Tensor) -> torch.Tensor:
    """The map at the size of `frame`, as `frames.spread` has it, but repeated twice where sides and size allow."""
    height, width = frame.size(2), frame.size(3)
    uneven = torch.tensor(height - height // 4 * 4 + width - width // 4 * 4)
    sides = torch._shape_as_tensor(frame)
    smaller = torch.min(sides[2], sides[3])
    if bool(torch.clamp(smaller - 1023 - uneven * 1000000, 0, 1).to(torch.bool)):
        quarter = torch.nn.functional.interpolate(
            map_, size=[height // 4, width // 4], mode="bilinear", align_corners=False
        )
        # onnxruntime repeats twice by 2 in a third of the time of once by 4
        half = torch.nn.functional.interpolate(quarter, scale_factor=2.0, mode="nearest")
        whole = torch.nn.functional.interpolate(half, scale_factor=2.0, mode="nearest")
    else:
        whole = once_repeated(map_, frame)
    return whole


def build() -> Student:
    """v4's network with another look, 298,292 trainable parameters."""
    return FinerLook()
