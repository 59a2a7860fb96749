"""A verified saliency model: pictures in, maps out, both held to the contract."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnxruntime

from harness.errors import HarnessError, InputError
from harness.media.pictures import resized
from harness.models.bands import BAND_PIXELS, Locality, in_bands, locality
from harness.models.bounds import refuse_unbounded
from harness.models.contract import INPUT, MEAN, OUTPUT, STD, GraphFacts, admitted
from harness.models.model_file import ModelFile
from harness.models.registry import find_model
from harness.models.working_size import NATIVE, WorkingSize

MULTIPLE = 8  # three poolings: other sides are padded by edge repetition, as the extractor does
ROUNDING = 1e-6  # a map may leave [0, 1] by so much: scaling inside a graph rounds
OPEN_AT_ONCE = 8  # sessions that a process keeps

STEPS = np.stack(
    [
        np.full(3, np.float32(1) / np.float32(255)),
        np.array(MEAN, np.float32),
        np.float32(1) / np.array(STD, np.float32),
    ],
    axis=1,
)
"""The contract's step 3 for each channel: what a level is scaled by, what is taken off, what that is scaled by."""

_ROWS = 32  # of a picture at a time: what belongs to them stays in a core's cache


@dataclass(frozen=True)
class SaliencyModel:
    """A graph that passed `check_graph`, with an ONNX Runtime session on the CPU; `load_model` makes one.

    `name` is what tables call it: the registry id, or the file's stem.
    """

    name: str
    sha256: str
    facts: GraphFacts
    session: onnxruntime.InferenceSession = field(repr=False, compare=False)
    local: Locality | None = None

    def maps(self, rgb: np.ndarray) -> np.ndarray:
        """Saliency of pictures, one at a time, for the contract's batch is 1.

        Args:
            rgb: uint8 RGB `[N, H, W, 3]`, any H and W.

        Returns:
            float32 `[N, H, W]` in [0, 1], up to `ROUNDING`.

        Raises:
            InputError: For other pictures, and for a model whose map is of another size, not finite, or out of range.
            HarnessError: When inference fails.
        """
        return self._held(self.raw_maps(rgb))

    def map_of_planes(self, planes: np.ndarray, height: int, width: int) -> np.ndarray:
        """As `maps`, of one picture that `room_for` holds, normalised and padded: float32 `[height, width]`."""
        return self._held(self._run(planes[None])[0, 0, :height, :width])

    def _held(self, found: np.ndarray) -> np.ndarray:
        """The map, if it is one."""
        low, high = float(found.min()), float(found.max())
        if not (low >= -ROUNDING and high <= 1 + ROUNDING):  # false for NaN too
            said = f"values from {low:.4g} to {high:.4g}" if np.isfinite(found).all() else "NaN or infinite values"
            raise InputError(f"{self.name}: its map holds {said} (allowed: 0 to 1)")
        return found

    def raw_maps(self, rgb: np.ndarray) -> np.ndarray:
        """`maps` of the right size, with whatever values the graph gave."""
        if rgb.dtype != np.uint8 or rgb.ndim != 4 or rgb.shape[-1] != 3:
            raise InputError(f"pictures are {rgb.dtype} {rgb.shape} (allowed: uint8 [N, H, W, 3])")
        _, height, width, _ = rgb.shape
        return np.concatenate([self._run(planes_of(picture)[None]) for picture in rgb])[:, 0, :height, :width]

    def _run(self, planes: np.ndarray) -> np.ndarray:
        _, _, height, width = planes.shape
        if self.local and height * width > BAND_PIXELS:
            return in_bands(self._run, planes, self.local)
        try:
            found: np.ndarray = self.session.run([OUTPUT], {INPUT: planes})[0]
        except Exception as error:  # onnxruntime's exceptions share no public base
            raise HarnessError(f"{self.name}: inference failed: {str(error).splitlines()[0]}") from error
        if found.shape != (1, 1, height, width):
            raise InputError(
                f"{self.name}: the map of a {width}x{height} picture is {_sides(found)} (allowed: the picture's size)"
            )
        return found

    def map_of(self, rgb: np.ndarray, working: WorkingSize = NATIVE) -> np.ndarray:
        """Saliency of one picture uint8 `[H, W, 3]` at a working size, scaled back (bilinear): float32 `[H, W]`."""
        height, width = rgb.shape[:2]
        small = resized(rgb, working.of(height, width))
        found = np.clip(self.maps(small[None])[0], 0, 1)
        return resized(found, (height, width))


def _sides(found: np.ndarray) -> str:
    if found.ndim == 4 and found.shape[:2] == (1, 1):
        return f"{found.shape[3]}x{found.shape[2]}"
    return f"of shape {list(found.shape)}"


def load_model(asked: str | Path | ModelFile, threads: int = 0) -> SaliencyModel:
    """Find a model, verify it and open it.

    Args:
        asked: What `find_model` takes or has found; a `Path` is never taken for a registry id.
        threads: Threads of one inference; 0 for one for each core.

    Returns:
        The model, open; equal files share one session in a process.

    Raises:
        InputError: For an unknown name, a file that is not the one that the registry has, or one that the extractor
            would refuse.
    """
    if isinstance(asked, Path):
        asked = ModelFile.at(asked)
    file = find_model(asked) if isinstance(asked, str) else asked
    file.refuse_change()
    return open_model(file, threads)


def open_model(file: ModelFile, threads: int = 0) -> SaliencyModel:
    """A session over the very bytes that were verified; a process opens equal bytes once.

    Other than `load_model` it does not ask whether they are those that the registry has.
    """
    opened = _opened(_Bytes(file.sha256, file), threads)
    return replace(opened, name=file.name, facts=replace(opened.facts, path=file.path))


@dataclass(frozen=True)
class _Bytes:
    """A file that equals any other of the same content."""

    sha256: str
    file: ModelFile = field(compare=False)


@functools.lru_cache(OPEN_AT_ONCE)
def _opened(asked: _Bytes, threads: int) -> SaliencyModel:
    file = asked.file
    model, facts = admitted(file)
    refuse_unbounded(file, model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads would burn a core
    options.enable_mem_pattern = False  # sizes vary; planning for one costs a third more memory and no time
    if threads:
        options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(file.content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no public base
        raise InputError(f"{file.path}: ONNX Runtime cannot load it: {str(error).splitlines()[0]}") from error
    return SaliencyModel(file.name, file.sha256, facts, session, locality(model.graph))


def room_for(height: int, width: int) -> np.ndarray:
    """Planes for a picture, its sides rounded up as the extractor pads them: float32 `[3, H, W]`, not yet filled."""
    return np.empty((3, height + -height % MULTIPLE, width + -width % MULTIPLE), np.float32)


def planes_of(rgb: np.ndarray) -> np.ndarray:
    """What a graph reads of a picture uint8 `[H, W, 3]`: `room_for` it, normalised and padded."""
    height, width, _ = rgb.shape
    planes = room_for(height, width)
    for start in range(0, height, _ROWS):
        band = planes[:, start : min(start + _ROWS, height), :width]
        np.copyto(band, rgb[start : start + _ROWS].transpose(2, 0, 1))
        normalise(band, STEPS)
    pad(planes, height, width)
    return planes


def normalise(levels: np.ndarray, steps: np.ndarray) -> None:
    """Levels 0 to 255, float32 `[3, H, W]`, to `(v * (1/255) - mean) * (1/std)` by `STEPS`, in place."""
    scale, mean, inverse_std = steps.T[:, :, None, None]
    levels *= scale
    levels -= mean
    levels *= inverse_std


def pad(planes: np.ndarray, height: int, width: int) -> None:
    """Repeat the picture's last row and column over what `room_for` has beyond them."""
    planes[:, height:, :width] = planes[:, height - 1 : height, :width]
    planes[:, :, width:] = planes[:, :, width - 1 : width]
