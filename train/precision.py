"""What convolutions are computed in: bfloat16 where a device multiplies in it, else float32."""

from __future__ import annotations

import torch


def precision_of(device: torch.device) -> torch.dtype:
    """bfloat16 for CUDA and processors with AVX-512; elsewhere PyTorch emulates it, five to ten times slower."""
    quick = device.type == "cuda" or torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return torch.bfloat16 if quick else torch.float32


def autocast(device: torch.device, cache_enabled: bool = True) -> torch.autocast:
    """A context in which networks compute in `precision_of` the device."""
    precision = precision_of(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == torch.bfloat16, cache_enabled=cache_enabled)
