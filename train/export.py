"""From a trained student to the ONNX file that the extractor loads, checked against PyTorch."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import torch

from harness.errors import HarnessError
from harness.files import whole_file
from harness.models.contract import INPUT, OPSET, OUTPUT, GraphFacts
from harness.models.session import SaliencyModel, load_model
from train.batches import normalised
from train.students.blocks import Student

PARITY_LIMIT = 1e-5
PARITY_SIZES = ((256, 256), (64, 96), (360, 640), (480, 848))  # (height, width), multiples of 8
ANY_SIZES = ((517, 333), (1080, 1920), (2160, 3840), (16, 16))  # for students that take any size


@dataclass(frozen=True)
class Exported:
    """The written file, its hash, and its largest difference to PyTorch.

    That is over `PARITY_SIZES`, and over `ANY_SIZES` too for a student that takes any size.
    """

    path: Path
    sha256: str
    facts: GraphFacts
    max_abs_diff: float


def export(student: Student, path: Path) -> Exported:
    """Write `student` to `path` (batch normalisation folded); raises `HarnessError` when it drifts from PyTorch."""
    student = student.cpu().eval()
    with whole_file(path) as part:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch announces its other exporter, which writes opset 18
            torch.onnx.export(
                student,
                (torch.zeros(1, 3, 64, 64),),
                str(part),
                dynamo=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_axes={INPUT: {2: "H", 3: "W"}, OUTPUT: {2: "H", 3: "W"}},
            )
        _declare_one_map(part)
        model = load_model(part)
        facts = model.facts
        if unfolded := {"BatchNormalization"} & set(facts.operators):
            raise HarnessError(f"{path}: {unfolded.pop()} was not folded into its convolution")
        difference = max_abs_difference(student, model)
        if not difference <= PARITY_LIMIT:
            raise HarnessError(f"{path}: differs from PyTorch by {difference:.2e} (allowed: {PARITY_LIMIT:.0e})")
    return Exported(path, model.sha256, replace(facts, path=path), difference)


def _declare_one_map(path: Path) -> None:
    """Say that the map is `[1, 1, H, W]`: the exporter loses the first two sides behind a Resize."""
    model = onnx.load(path)
    for side in model.graph.output[0].type.tensor_type.shape.dim[:2]:
        side.dim_value = 1
    onnx.save(model, path)


@torch.inference_mode()
def max_abs_difference(student: Student, model: SaliencyModel) -> float:
    """Largest absolute difference between PyTorch and ONNX Runtime over the sizes it takes, on noise and on shapes."""
    rng = np.random.default_rng(17)
    worst = 0.0
    sizes = PARITY_SIZES if student.sides_multiple_of > 1 else PARITY_SIZES + ANY_SIZES
    for height, width in sizes:
        picture = rng.integers(0, 256, (1, height, width, 3), dtype=np.uint8)
        picture[:, height // 4 : height // 2, width // 4 : width // 2] = (200, 40, 30)
        planes = normalised(torch.from_numpy(picture)).contiguous()
        (found,) = model.session.run([OUTPUT], {INPUT: planes.numpy()})
        worst = max(worst, float(np.abs(student(planes).numpy() - found).max()))
    return worst
