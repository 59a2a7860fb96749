"""Batches for one epoch: cut on the CPU one step ahead, or gathered on the device that holds the whole set."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch

from harness.models.contract import MEAN, STD
from train.augment import Looks, changed
from train.data import CropPlan, DecodedSet, cut

Batch = tuple[torch.Tensor, torch.Tensor]


class Batches(Protocol):
    """Yields, for each slice of the plan, `(images [B, 3, s, s] normalised, truth [B, 1, s, s])` on the device."""

    def epoch(self, plan: CropPlan, slices: list[slice], size: int, looks: Looks | None = None) -> Iterator[Batch]: ...


def normalised(images: torch.Tensor, looks: Looks | None = None, part: slice = slice(None)) -> torch.Tensor:
    """RGB in 0..255 `[B, H, W, 3]` to ImageNet-normalised float32 `[B, 3, H, W]`, channels last in memory.

    With `looks`, those of the samples `part` are applied first.
    """
    mean = torch.tensor(MEAN, device=images.device)
    std = torch.tensor(STD, device=images.device)
    scaled = images.float() / 255
    if looks:
        scaled = changed(scaled, looks, part)
    return ((scaled - mean) / std).permute(0, 3, 1, 2)


class HostBatches:
    """Crops from the memory-mapped set, the next batch cut while the current one trains."""

    def __init__(self, data: DecodedSet, device: torch.device) -> None:
        self.data, self.device = data, device

    def epoch(self, plan: CropPlan, slices: list[slice], size: int, looks: Looks | None = None) -> Iterator[Batch]:
        with ThreadPoolExecutor(1) as ahead:
            pending = ahead.submit(cut, self.data, plan, slices[0], size)
            for part, following in zip(slices, [*slices[1:], None], strict=True):
                images, masks = (torch.from_numpy(array).to(self.device) for array in pending.result())
                if following is not None:
                    pending = ahead.submit(cut, self.data, plan, following, size)
                yield normalised(images, looks, part), masks[:, None].float()


class ResidentBatches:
    """The whole set in device memory; boxes are one gather, or four with weights where they are scaled."""

    def __init__(self, data: DecodedSet, device: torch.device) -> None:
        self.data, self.device = data, device
        self.pixels = torch.tensor(data.pixels, device=device)
        self.truth = torch.tensor(data.truth, device=device)

    def epoch(self, plan: CropPlan, slices: list[slice], size: int, looks: Looks | None = None) -> Iterator[Batch]:
        def column(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(values).to(self.device)[:, None]

        start = column(self.data.offsets[plan.pair])
        frame_height, line = column(self.data.heights[plan.pair]), column(self.data.widths[plan.pair])
        flip, height, width = column(plan.flip).bool(), column(plan.height), column(plan.width)
        top, left = column(plan.top), column(plan.left)
        along = torch.arange(size, device=self.device)
        for part in slices:
            across = torch.where(flip[part], size - 1 - along, along)
            if plan.scaled(size):
                rows = _positions(along, top[part], height[part], size)
                columns = _positions(across, left[part], width[part], size)
                images, truth = self._scaled(start[part], frame_height[part], line[part], rows, columns)
            else:
                index = (start[part] + (top[part] + along) * line[part])[:, :, None] + (left[part] + across)[:, None, :]
                images, truth = self.pixels[index], self.truth[index].float()
            yield normalised(images, looks, part), truth[:, None]

    def _scaled(
        self, start: torch.Tensor, height: torch.Tensor, line: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor
    ) -> Batch:
        """Frames `[B, 1]` at fractional `rows` and `columns` `[B, size]`: bilinear without antialias."""
        top, left = rows.floor().long(), columns.floor().long()
        images, truth = torch.zeros((), device=self.device), torch.zeros((), device=self.device)
        for below in (0, 1):
            row = _mirrored(top + below, height) * line + start
            row_weight = 1 - (rows - top - below).abs()
            for right in (0, 1):
                index = row[:, :, None] + _mirrored(left + right, line)[:, None, :]
                weight = row_weight[:, :, None] * (1 - (columns - left - right).abs())[:, None, :]
                images = images + weight[..., None] * self.pixels[index]
                truth = truth + weight * self.truth[index]
        return images, (truth > 0.5).float()


def _positions(steps: torch.Tensor, first: torch.Tensor, side: torch.Tensor, size: int) -> torch.Tensor:
    """Where the `size` samples of a box side lie in the frame, kept inside the box."""
    return first + torch.minimum(((steps + 0.5) * side / size - 0.5).clamp(min=0), side - 1.0)


def _mirrored(index: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
    """Indices of a frame's side, mirrored where they lie outside, as numpy's `symmetric` padding."""
    index = torch.where(index < 0, -1 - index, index)
    return torch.minimum(torch.where(index >= side, 2 * side - 1 - index, index), side - 1).clamp(min=0)
