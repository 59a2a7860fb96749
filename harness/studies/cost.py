"""What models cost side by side: time a frame, taken alternately in one run, and peak memory."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from harness.errors import InputError
from harness.models.model_file import ModelFile
from harness.models.peak import THREADS, peak_memory
from harness.models.session import SaliencyModel, load_model

Size = tuple[int, int]
"""Height, width in pixels."""


def times(models: Sequence[ModelFile], sizes: Sequence[Size], rounds: int) -> pd.DataFrame:
    """Seconds a frame on one thread, a row per size, round and model.

    One thread each, and the models take turns: a ratio of two rows of one round is what other load on the machine
    disturbs least.

    Args:
        models: The files to time, each with a name of its own.
        sizes: Frame sizes.
        rounds: How often each model runs at each size; every round turns the order of the models.

    Returns:
        Columns `size` (`WxH`), `round`, `model`, `seconds`.

    Raises:
        InputError: For a file that does not load, no size or fewer than one round.
    """
    _refuse_nothing(sizes, rounds)
    loaded = [load_model(model, THREADS) for model in models]
    rows = []
    for size in sizes:
        seconds = _alternately(loaded, size, rounds)
        for index, taken in enumerate(seconds):
            for model, value in zip(loaded, taken, strict=True):
                rows.append({"size": label(size), "round": index, "model": model.name, "seconds": float(value)})
    return pd.DataFrame(rows)


def medians(times: pd.DataFrame) -> pd.DataFrame:
    """Of `times`, what people read: columns `size`, `model`, `ms/frame`, the median over rounds."""
    grouped = times.groupby(["size", "model"], sort=False)["seconds"].median() * 1000
    return grouped.rename("ms/frame").reset_index()


def memory(models: Sequence[ModelFile], size: Size) -> pd.DataFrame:
    """Peak resident memory of a process that runs one frame: columns `size`, `model`, `peak_bytes`."""
    peaks = [(model.name, peak_memory(model.path, *size)) for model in models]
    return pd.DataFrame([{"size": label(size), "model": name, "peak_bytes": peak} for name, peak in peaks])


def label(size: Size) -> str:
    """A size as tables write it.

    >>> label((360, 640))
    '640x360'
    """
    return f"{size[1]}x{size[0]}"


def _alternately(models: Sequence[SaliencyModel], size: Size, rounds: int) -> np.ndarray:
    """Seconds a frame, `[rounds, models]`."""
    frame = np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8)
    for model in models:
        model.maps(frame)  # the first run allocates
    seconds = np.empty((rounds, len(models)))
    order = list(range(len(models)))
    for index in range(rounds):
        for which in order if index % 2 == 0 else reversed(order):
            start = time.perf_counter()
            models[which].maps(frame)
            seconds[index, which] = time.perf_counter() - start
    return seconds


def _refuse_nothing(sizes: Sequence[Size], rounds: int) -> None:
    if not sizes or rounds < 1:
        raise InputError(f"{len(sizes)} sizes, {rounds} rounds (allowed: one or more of each)")
