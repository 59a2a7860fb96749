"""Lines over two axes as an SVG that a page or a notebook holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, LEFT, BOTTOM = 360, 240, 44, 30  # in SVG units

Line = tuple[str, int, Sequence[tuple[float, float]]]
"""A line's name, its number for colouring, and its points."""


@dataclass(frozen=True)
class Chart:
    """Lines over two axes, in SVG units: per line its name, its number for colouring, and its points."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[tuple[str, int, str], ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def line_chart(title: str, x_label: str, y_label: str, lines: Sequence[Line]) -> Chart:
    """A chart with round ticks; points that have no number are left out.

    Args:
        title: What stands under it.
        x_label: The quantity that goes right.
        y_label: The quantity that goes up.
        lines: At least one with a point.

    Returns:
        What the templates draw.

    Raises:
        ValueError: For lines without any point.
    """
    kept = [(name, colour, [p for p in points if all(map(math.isfinite, p))]) for name, colour, points in lines]
    points = [point for _, _, line in kept for point in line]
    x_ticks, y_ticks = _ticks([x for x, _ in points]), _ticks([y for _, y in points])

    def x_of(x: float) -> float:
        return round(LEFT + (WIDTH - LEFT - 8) * (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0]), 2)

    def y_of(y: float) -> float:
        return round(8 + (HEIGHT - BOTTOM - 8) * (y_ticks[-1] - y) / (y_ticks[-1] - y_ticks[0]), 2)

    drawn = tuple((name, colour, " ".join(f"{x_of(x)},{y_of(y)}" for x, y in line)) for name, colour, line in kept)
    return Chart(
        title,
        x_label,
        y_label,
        drawn,
        tuple((x_of(tick), f"{tick:g}") for tick in x_ticks),
        tuple((y_of(tick), f"{tick:g}") for tick in y_ticks),
    )


def _ticks(values: Sequence[float]) -> list[float]:
    """Round numbers that span the values: about five steps of 1, 2 or 5 times a power of ten.

    >>> _ticks([0.1, 0.93])
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    low, high = min(values), max(values)
    span = (high - low) or abs(high) or 1.0
    power = 10 ** math.floor(math.log10(span / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * 5 >= span * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, max(last, first + 1) + 1)]
