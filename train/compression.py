"""Loss of detail as in a coarse JPEG or an intra frame: 8x8 DCT blocks, quantised."""

from __future__ import annotations

from functools import lru_cache

import torch

TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
LUMA = TO_YCC[0]
LOWEST, HIGHEST = 8, 70  # JPEG quality, about what CRF 43 down to CRF 23 leaves

# ITU-T T.81, tables K.1 and K.2
LUMA_TABLE = """16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"""
CHROMA_TABLE = """17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66 99 99 99 99 99 99
99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99"""


def compressed(images: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """Quantise 8x8 DCT blocks of RGB in [0, 1] `[B, H, W, 3]` as JPEG does at `quality` `[B]`, chroma at full size."""
    to_ycc, from_ycc, dct = _matrices(images.device)
    count, height, width, _ = images.shape
    ycc = (images @ to_ycc * 255).permute(0, 3, 1, 2).reshape(count, 3, height // 8, 8, width // 8, 8).transpose(3, 4)
    ycc[:, 0] -= 128
    steps = _steps(quality)[:, :, None, None]
    coefficients = torch.round((dct @ ycc @ dct.T) / steps) * steps
    ycc = dct.T @ coefficients @ dct
    ycc[:, 0] += 128
    planes = ycc.transpose(3, 4).reshape(count, 3, height, width).permute(0, 2, 3, 1)
    return (planes @ from_ycc / 255).clamp_(0, 1)


@lru_cache
def _matrices(device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """RGB to YCC, back, and the DCT, kept on the device: making them anew would wait for the host."""
    to_ycc = torch.tensor(TO_YCC).T
    return to_ycc.to(device), torch.linalg.inv(to_ycc).to(device), _dct().to(device)


@lru_cache
def _tables(device: torch.device) -> torch.Tensor:
    tables = [[float(step) for step in table.split()] for table in (LUMA_TABLE, CHROMA_TABLE, CHROMA_TABLE)]
    return torch.tensor(tables, device=device).reshape(3, 8, 8)


def _dct() -> torch.Tensor:
    frequency, position = torch.arange(8.0)[:, None], torch.arange(8.0)[None]
    rows = torch.cos((2 * position + 1) * frequency * torch.pi / 16) / 2
    rows[0] /= 2**0.5
    return rows


def _steps(quality: torch.Tensor) -> torch.Tensor:
    """Quantiser steps `[B, 3, 8, 8]` for `quality` `[B]`, by libjpeg's scaling."""
    base = _tables(quality.device)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    return ((base * scale[:, None, None, None] + 50) / 100).floor().clamp(1, 255)
