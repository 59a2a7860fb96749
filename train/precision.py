"""What convolutions are computed in: bfloat16 where a device multiplies in it, else float32."""

from __future__ import annotations

import torch


def precision_of(device: torch.device) -> str:
    """bfloat16 for CUDA and processors with AVX-512; elsewhere PyTorch emulates it, five to ten times slower."""
    quick = device.type == "cuda" or torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return "bfloat16" if quick else "float32"


def autocast(device: torch.device, cache_enabled: bool = True) -> torch.autocast:
    """A context in which networks compute in `precision_of` the device."""
    enabled = precision_of(device) == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled, cache_enabled=cache_enabled)
