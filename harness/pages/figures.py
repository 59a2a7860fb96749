"""The one place where matplotlib writes a file: equal content is an equal file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from harness.files import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SALT = "harness"  # without one of its own an SVG has other ids each time
UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


def save_figure(figure: Figure, path: Path, dpi: int = 110) -> Path:
    """Write a figure, whole or not at all.

    Args:
        figure: What was drawn.
        path: Its suffix says how: `.png`, `.svg` or `.pdf`.
        dpi: Pixels an inch.

    Returns:
        `path`.

    Raises:
        InputError: When it cannot be written.
    """
    import matplotlib

    kind = path.suffix[1:].lower()
    with whole_file(path) as part, matplotlib.rc_context({"svg.hashsalt": SALT}):
        figure.savefig(part, dpi=dpi, format=kind, metadata=UNDATED.get(kind, {}))
    return path


def png_of(figure: Figure, dpi: int = 70) -> bytes:
    """The same as bytes, for a notebook."""
    content = io.BytesIO()
    figure.savefig(content, dpi=dpi, format="png")
    return content.getvalue()
