"""A verified saliency model: pictures in, maps out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from harness.errors import HarnessError, InputError
from harness.files import sha256_of
from harness.media.pictures import resized
from harness.models.bands import BAND_PIXELS, Locality, in_bands, locality
from harness.models.contract import INPUT, MEAN, OUTPUT, STD, GraphFacts, check_graph
from harness.models.working_size import NATIVE, WorkingSize

MULTIPLE = 8  # three poolings: other sides are padded by edge repetition, as the extractor does

_SCALE = np.float32(1) / np.float32(255)
_MEAN, _INVERSE_STD = np.array(MEAN, np.float32), np.float32(1) / np.array(STD, np.float32)


@dataclass(frozen=True)
class SaliencyModel:
    """A graph that passed `check_graph`, with an ONNX Runtime session on the CPU.

    `name` is what tables call it: the registry id, or the file's stem.
    """

    name: str
    sha256: str
    facts: GraphFacts
    session: onnxruntime.InferenceSession = field(repr=False, compare=False)
    local: Locality | None = None

    @classmethod
    def load(
        cls, path: Path, name: str | None = None, sha256: str | None = None, threads: int | None = None
    ) -> SaliencyModel:
        """Verify the file (hash first, when one is given) and open it; `InputError` when it may not load."""
        path = Path(path)
        found = sha256_of(path)
        if sha256 is not None and found != sha256:
            raise InputError(f"{path}: sha256 is {found}, the registry says {sha256}")
        facts = check_graph(path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads would burn a core
        options.enable_mem_pattern = False  # sizes vary; planning for one costs a third more memory and no time
        if threads:
            options.intra_op_num_threads = threads
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no public base
            raise InputError(f"{path}: ONNX Runtime cannot load it: {str(error).splitlines()[0]}") from error
        return cls(name or path.stem, found, facts, session, locality(onnx.load(path).graph))

    def maps(self, rgb: np.ndarray) -> np.ndarray:
        """Saliency of uint8 RGB `[N, H, W, 3]` as float32 `[N, H, W]` in [0, 1]; any H and W.

        The contract's batch is 1, so pictures go through one at a time.
        """
        if rgb.dtype != np.uint8 or rgb.ndim != 4 or rgb.shape[-1] != 3:
            raise InputError(f"pictures are {rgb.dtype} {rgb.shape} (allowed: uint8 [N, H, W, 3])")
        _, height, width, _ = rgb.shape
        below, right = -height % MULTIPLE, -width % MULTIPLE
        if below or right:
            rgb = np.pad(rgb, ((0, 0), (0, below), (0, right), (0, 0)), mode="edge")
        planes = np.ascontiguousarray(normalised(rgb).transpose(0, 3, 1, 2))
        try:
            maps = [self._run(plane[None]) for plane in planes]
        except Exception as error:  # onnxruntime's exceptions share no public base
            raise HarnessError(f"{self.name}: inference failed: {str(error).splitlines()[0]}") from error
        return np.concatenate(maps)[:, 0, :height, :width]

    def _run(self, planes: np.ndarray) -> np.ndarray:
        if self.local and planes.shape[2] * planes.shape[3] > BAND_PIXELS:
            return in_bands(self._run, planes, self.local)
        return self.session.run([OUTPUT], {INPUT: planes})[0]

    def map_of(self, rgb: np.ndarray, working: WorkingSize = NATIVE) -> np.ndarray:
        """Saliency of one picture uint8 `[H, W, 3]` at a working size, scaled back (bilinear): float32 `[H, W]`."""
        height, width = rgb.shape[:2]
        small = resized(rgb, working.of(height, width))
        return resized(self.maps(small[None])[0], (height, width))


def normalised(rgb: np.ndarray) -> np.ndarray:
    """`(v * (1/255) - mean) * (1/std)` in float32, the contract's step 3; shape kept, channels last."""
    return (rgb.astype(np.float32) * _SCALE - _MEAN) * _INVERSE_STD
