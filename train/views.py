"""Random views and looks of square frames, drawn and made where the frames lie: no step of it waits for the host.

Everything is a function of uniform random numbers `[B, DRAWS]`, so the same numbers give the same batch on any device,
and the whole can be part of a CUDA graph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch.nn import functional as F

from train.compression import HIGHEST, LOWEST, LUMA, compressed

DRAWS = 24  # random numbers that one sample takes
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ViewRanges:
    """How far views and looks go; `Recipe` says what each means. Shares are shares of the samples."""

    smallest: float = 0.7
    widest: float = 1.0
    colour: float = 0.0
    compression: float = 0.0
    turn: float = 0.0
    grey: float = 0.0
    paste: float = 0.0
    blur: float = 0.0


def batch_of(
    frames: torch.Tensor, index: torch.Tensor, size: int, ranges: ViewRanges, draws: torch.Tensor,
    maps: torch.Tensor | None = None, labelled: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Views of `frames` uint8 `[N, S, S, 4]` (RGB and mask, 0 or 255) at `index` int64 `[B]`, by `draws` `[B, DRAWS]`.

    Returns normalised images float32 `[B, 3, size, size]`, channels last in memory, and layers `[B, C, size, size]`:
    the masks; the same views of `maps` uint8 `[N, S, S, 1]`, if given; and 1 where there is a mask at all, if
    `labelled` bool `[N]` is given.
    """
    picked = frames.index_select(0, index)
    if maps is not None:
        picked = torch.cat((picked, maps.index_select(0, index)), 3)
    picked = picked.permute(0, 3, 1, 2).float() / 255
    theta, reach = placed(ranges, draws)
    # A view that shows the frame smaller than it is stored would alias: soften it first.
    soften = (reach * frames.shape[1] / size - 1).clamp(0, 1)
    if ranges.blur:
        soften = torch.maximum(soften, (draws[:, 8] < ranges.blur) * draws[:, 9])
    softened = F.avg_pool2d(picked, 3, 1, 1, count_include_pad=False)
    picked = torch.lerp(picked, softened, soften[:, None, None, None])
    seen = sampled(picked, theta, size)
    images, layers = seen[:, :3], torch.cat(((seen[:, 3:4] > 0.5).float(), seen[:, 4:]), 1)
    if labelled is not None:
        known = labelled.index_select(0, index).float()[:, None, None, None]
        layers = torch.cat((layers, known.expand(-1, 1, size, size)), 1)
    images = coloured(images, ranges, draws)
    coarse = int(ranges.compression * len(index))
    if coarse:  # samples come in random order, so the first so many are as good as any
        quality = torch.exp(draws[:coarse, 16] * math.log(HIGHEST / LOWEST) + math.log(LOWEST))
        done = compressed(images[:coarse].permute(0, 2, 3, 1), quality).permute(0, 3, 1, 2)
        images = torch.cat((done, images[coarse:]))
    if ranges.paste:
        images, layers = pasted(images, layers, ranges.paste, draws)
    mean, std = _constant(MEAN, images.device), _constant(STD, images.device)
    images = (images - mean[:, None, None]) / std[:, None, None]
    return images.contiguous(memory_format=torch.channels_last), layers


def placed(ranges: ViewRanges, draws: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where views lie: `affine_grid` matrices `[B, 2, 3]` in a frame's own [-1, 1], and their reach `[B]` in frames."""
    shares = ranges.smallest + (1 - ranges.smallest) * draws[:, 0:2]
    zoom = torch.exp(((2 * draws[:, 2] - 1) * math.log(ranges.widest)).clamp(min=0))
    sides = shares * zoom[:, None]
    centre = (2 * draws[:, 3:5] - 1) * (1 - sides)
    angle = (draws[:, 6] < 0.5) * (2 * draws[:, 7] - 1) * math.radians(ranges.turn)
    mirror = 1 - 2 * (draws[:, 5] < 0.5).float()
    cos, sin = torch.cos(angle), torch.sin(angle)
    rows = (
        torch.stack((sides[:, 0] * mirror * cos, -sides[:, 0] * sin, centre[:, 0]), 1),
        torch.stack((sides[:, 1] * mirror * sin, sides[:, 1] * cos, centre[:, 1]), 1),
    )
    return torch.stack(rows, 1), sides.amax(1)


def sampled(pictures: torch.Tensor, theta: torch.Tensor, size: int) -> torch.Tensor:
    """`pictures` `[B, C, S, S]` at the views `theta`, bilinear, mirrored outside: `[B, C, size, size]`."""
    grid = F.affine_grid(theta, [len(theta), 1, size, size], align_corners=False)
    return F.grid_sample(pictures, grid, "bilinear", "reflection", align_corners=False)


def coloured(images: torch.Tensor, ranges: ViewRanges, draws: torch.Tensor) -> torch.Tensor:
    """Brightness, contrast and saturation within 1 ± `colour`, some pictures grey; RGB in [0, 1] `[B, 3, H, W]`."""
    if not (ranges.colour or ranges.grey):
        return images
    luma = _constant(LUMA, images.device)
    factors = 1 + ranges.colour * (2 * draws[:, 10:13] - 1)
    brightness, contrast, saturation = (factors[:, i, None, None] for i in range(3))
    if ranges.grey:
        saturation = torch.where(draws[:, 13, None, None] < ranges.grey, 0.0, saturation)
    mixing = saturation * _identity(images.device) + (1 - saturation) * luma[None, None, :]
    grey = (images.mean((2, 3)) @ luma)[:, None, None]
    flat = (brightness * contrast * mixing) @ images.flatten(2) + brightness * (1 - contrast) * grey
    return flat.clamp(0, 1).unflatten(2, images.shape[2:])


def pasted(
    images: torch.Tensor, layers: torch.Tensor, share: float, draws: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """In `share` of the samples a box of the next sample's picture and layers replaces their own."""
    size = images.shape[2]
    along = (torch.arange(size, device=images.device) + 0.5) / size
    sides = 0.3 + 0.4 * draws[:, 17:19]
    first = draws[:, 19:21] * (1 - sides)
    chosen = draws[:, 21] < share
    inside = [
        (along > first[:, axis, None]) & (along < (first + sides)[:, axis, None]) & chosen[:, None] for axis in (0, 1)
    ]
    box = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return torch.where(box, images.roll(1, 0), images), torch.where(box, layers.roll(1, 0), layers)


@lru_cache
def _constant(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """Kept on the device: making it anew would copy from the host in every step."""
    return torch.tensor(values, device=device)


@lru_cache
def _identity(device: torch.device) -> torch.Tensor:
    return torch.eye(3, device=device)
