"""What networks compute in while they train."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
ASK = "import torch; from train.precision import precision_of; print(precision_of(torch.device('cpu')))"


@pytest.mark.slow
def test_a_processor_without_avx512_computes_in_float32() -> None:
    """There bfloat16 is emulated, five to ten times slower."""
    plain = os.environ | {"ATEN_CPU_CAPABILITY": "avx2"}
    done = subprocess.run([sys.executable, "-c", ASK], env=plain, capture_output=True, text=True, check=True)
    assert done.stdout == "float32\n"


def test_a_graphics_card_computes_in_bfloat16() -> None:
    from train.precision import precision_of

    assert precision_of(torch.device("cuda")) == "bfloat16"


def test_in_float32_nothing_is_cast() -> None:
    from train.precision import autocast, precision_of

    cpu = torch.device("cpu")
    ones = torch.ones(2, 2)
    with autocast(cpu):
        assert str((ones @ ones).dtype) == f"torch.{precision_of(cpu)}"
