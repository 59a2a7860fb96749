"""What this machine's processor can do."""

from __future__ import annotations

from pathlib import Path

AVX512 = "avx512f" in Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else False
"""ONNX Runtime sums in another order without it, so a map's mean may differ in the sixth digit."""
