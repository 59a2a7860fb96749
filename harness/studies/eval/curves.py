"""Curves of many images in a temporary file, so that memory does not grow with the set."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping

import numpy as np

CHUNK = 2048  # images read at once


class Curves:
    """Float32 curves of `images` images by key, written in any order and never all in memory.

    `shapes` is what one image has for each key. The file has no name and goes with the last reference to it.

    >>> curves = Curves(3, {"f": (2,)})
    >>> curves.write(1, {"f": np.array([[1.0, 2.0], [3.0, 4.0]])})
    >>> curves.sums("f", np.array([[9.0, 1.0, 2.0]]))
    array([[ 7., 10.]])
    """

    def __init__(self, images: int, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.images = images
        self.shapes = dict(shapes)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  (closed with this object)
        self._places: dict[str, int] = {}
        end = 0
        for key, shape in self.shapes.items():
            self._places[key] = end
            end += images * _bytes(shape)
        self._file.truncate(end)  # images that were never written read as zeros

    def write(self, first: int, curves: Mapping[str, np.ndarray]) -> None:
        """Put the curves `[n, ...]` of images `first` to `first + n`."""
        for key, values in curves.items():
            self._file.seek(self._places[key] + first * _bytes(self.shapes[key]))
            self._file.write(np.ascontiguousarray(values, np.float32).tobytes())

    def blocks(self, key: str) -> Iterator[tuple[slice, np.ndarray]]:
        """The curves of all images, some at a time: which images, float32 `[n, ...]`."""
        shape = self.shapes[key]
        for start in range(0, self.images, CHUNK):
            stop = min(start + CHUNK, self.images)
            self._file.seek(self._places[key] + start * _bytes(shape))
            block = np.frombuffer(self._file.read((stop - start) * _bytes(shape)), np.float32)
            yield slice(start, stop), block.reshape(stop - start, *shape)

    def sums(self, key: str, weights: np.ndarray) -> np.ndarray:
        """Weighted sums over images, weights `[R, images]`: float64 `[R, ...]`."""
        total = np.zeros((len(weights), *self.shapes[key]))
        for images, block in self.blocks(key):
            total += weights[:, images] @ block
        return total


def _bytes(shape: tuple[int, ...]) -> int:
    return 4 * int(np.prod(shape))
