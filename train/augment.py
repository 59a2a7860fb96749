"""What training does to a picture's looks: colours jittered, detail lost as in a coarse JPEG or an intra frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from train.data import seeded

TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
LUMA = TO_YCC[0]
LOWEST, HIGHEST = 8, 70  # JPEG quality, about what CRF 43 down to CRF 23 leaves

# ITU-T T.81, tables K.1 and K.2
LUMA_TABLE = """16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"""
CHROMA_TABLE = """17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66 99 99 99 99 99 99
99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99"""


@dataclass(frozen=True)
class Looks:
    """For every sample of an epoch, float32 `[N]`: factors around 1, and a JPEG quality where above 0."""

    brightness: np.ndarray
    contrast: np.ndarray
    saturation: np.ndarray
    quality: np.ndarray


def plan_looks(count: int, colour: float, compression: float, seed: int, epoch: int) -> Looks:
    """Factors uniform in 1 ± `colour`, and a share `compression` of samples compressed; pure in `(seed, epoch)`."""
    rng = seeded(seed, epoch, 1)
    brightness, contrast, saturation = rng.uniform(1 - colour, 1 + colour, (3, count)).astype(np.float32)
    quality = np.exp(rng.uniform(math.log(LOWEST), math.log(HIGHEST), count)) * (rng.random(count) < compression)
    return Looks(brightness, contrast, saturation, quality.astype(np.float32))


def changed(images: torch.Tensor, looks: Looks, part: slice) -> torch.Tensor:
    """Give `images`, RGB in [0, 1] `[B, H, W, 3]`, the looks of the samples `part`; same shape and range.

    Sides must be multiples of 8 where any sample is compressed.
    """

    def of(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values[part]).to(images.device)[:, None, None]

    luma = torch.tensor(LUMA, device=images.device)
    contrast, saturation, brightness = of(looks.contrast), of(looks.saturation), of(looks.brightness)
    mixing = saturation * torch.eye(3, device=images.device) + (1 - saturation) * luma[:, None]
    grey = (images.mean((1, 2)) @ luma)[:, None, None]
    flat = images.flatten(1, 2) @ (brightness * contrast * mixing) + brightness * (1 - contrast) * grey
    images = flat.clamp_(0, 1).unflatten(1, images.shape[1:3])
    coarse = np.flatnonzero(looks.quality[part])
    if len(coarse):
        quality = torch.from_numpy(looks.quality[part][coarse]).to(images.device)
        chosen = torch.from_numpy(coarse).to(images.device)
        images[chosen] = compressed(images[chosen], quality)
    return images


def compressed(images: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """Quantise 8x8 DCT blocks of RGB in [0, 1] `[B, H, W, 3]` as JPEG does at `quality` `[B]`, chroma at full size."""
    device = images.device
    to_ycc, dct = torch.tensor(TO_YCC, device=device).T, _dct(device)
    count, height, width, _ = images.shape
    ycc = (images @ to_ycc * 255).permute(0, 3, 1, 2).reshape(count, 3, height // 8, 8, width // 8, 8).transpose(3, 4)
    ycc[:, 0] -= 128
    steps = _steps(quality)[:, :, None, None]
    coefficients = torch.round((dct @ ycc @ dct.T) / steps) * steps
    ycc = dct.T @ coefficients @ dct
    ycc[:, 0] += 128
    planes = ycc.transpose(3, 4).reshape(count, 3, height, width).permute(0, 2, 3, 1)
    return (planes @ torch.linalg.inv(to_ycc) / 255).clamp_(0, 1)


def _dct(device: torch.device) -> torch.Tensor:
    frequency, position = torch.arange(8.0, device=device)[:, None], torch.arange(8.0, device=device)[None]
    rows = torch.cos((2 * position + 1) * frequency * torch.pi / 16) / 2
    rows[0] /= 2**0.5
    return rows


def _steps(quality: torch.Tensor) -> torch.Tensor:
    """Quantiser steps `[B, 3, 8, 8]` for `quality` `[B]`, by libjpeg's scaling."""
    tables = [[float(step) for step in table.split()] for table in (LUMA_TABLE, CHROMA_TABLE, CHROMA_TABLE)]
    base = torch.tensor(tables, device=quality.device).reshape(3, 8, 8)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    return ((base * scale[:, None, None, None] + 50) / 100).floor().clamp(1, 255)
