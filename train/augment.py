"""What training does to a picture's looks: colours jittered, detail lost as in a coarse JPEG or an intra frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from train.compression import HIGHEST, LOWEST, LUMA, compressed
from train.data import seeded


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
