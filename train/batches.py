"""Batches for one epoch: cut on the CPU one step ahead, or gathered on the device that holds the whole set."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import torch

from harness.saliency.contract import MEAN, STD
from train.data import CropPlan, DecodedSet, cut

Batch = tuple[torch.Tensor, torch.Tensor]


class Batches(Protocol):
    """Yields, for each slice of the plan, `(images [B, 3, c, c] normalised, truth [B, 1, c, c])` on the device."""

    def epoch(self, plan: CropPlan, slices: list[slice], crop: int) -> Iterator[Batch]: ...


def normalised(images: torch.Tensor) -> torch.Tensor:
    """uint8 `[B, H, W, 3]` to ImageNet-normalised float32 `[B, 3, H, W]`, channels last in memory."""
    mean = torch.tensor(MEAN, device=images.device)
    std = torch.tensor(STD, device=images.device)
    return ((images.float() / 255 - mean) / std).permute(0, 3, 1, 2)


class HostBatches:
    """Crops from the memory-mapped set, the next batch cut while the current one trains."""

    def __init__(self, data: DecodedSet, device: torch.device) -> None:
        self.data, self.device = data, device

    def epoch(self, plan: CropPlan, slices: list[slice], crop: int) -> Iterator[Batch]:
        with ThreadPoolExecutor(1) as ahead:
            pending = ahead.submit(cut, self.data, plan, slices[0], crop)
            for following in [*slices[1:], None]:
                images, masks = pending.result()
                if following is not None:
                    pending = ahead.submit(cut, self.data, plan, following, crop)
                yield self._on_device(torch.from_numpy(images), torch.from_numpy(masks))

    def _on_device(self, images: torch.Tensor, masks: torch.Tensor) -> Batch:
        images, masks = images.to(self.device), masks.to(self.device)
        return normalised(images), masks[:, None].float()


class ResidentBatches:
    """The whole set in device memory; crops are one gather."""

    def __init__(self, data: DecodedSet, device: torch.device) -> None:
        self.data, self.device = data, device
        self.pixels = torch.tensor(data.pixels, device=device)
        self.truth = torch.tensor(data.truth, device=device)

    def epoch(self, plan: CropPlan, slices: list[slice], crop: int) -> Iterator[Batch]:
        width = torch.from_numpy(self.data.widths[plan.pair]).to(self.device)
        start = torch.from_numpy(self.data.offsets[plan.pair]).to(self.device)
        start = start + torch.from_numpy(plan.top).to(self.device) * width
        start = start + torch.from_numpy(plan.left).to(self.device)
        flip = torch.from_numpy(plan.flip).to(self.device).bool()
        along = torch.arange(crop, device=self.device)
        for part in slices:
            column = torch.where(flip[part, None], crop - 1 - along, along)
            row = along * width[part, None]
            index = start[part, None, None] + row[:, :, None] + column[:, None, :]
            yield normalised(self.pixels[index]), self.truth[index][:, None].float()
