"""The one way to a terminal."""

from __future__ import annotations

from rich.console import Console


def terminal(to_stderr: bool = False, wrap: bool = True) -> Console:
    """The one way to a terminal: what is printed there stands as it is, in tables too, whatever brackets names hold.

    What is to have a style is a `rich.text.Text`. Without `wrap` a line stays one.
    """
    return Console(stderr=to_stderr, markup=False, emoji=False, highlight=False, soft_wrap=not wrap)
