"""What raw YUV does not say of itself, as options that commands share."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from harness.errors import InputError

Size = Annotated[str | None, typer.Option("--size", help="WxH of raw YUV.")]
PixFmt = Annotated[str | None, typer.Option("--pix-fmt", help="Pixel format of raw YUV.")]
Fps = Annotated[str | None, typer.Option("--fps", help="Frame rate of raw YUV and folders.")]


def parse_size(text: str | None) -> tuple[int, int] | None:
    """`WxH` to width and height, None to None; `InputError` says what is allowed."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match:
        raise InputError(f"size {text!r} (allowed: WxH, for example 640x360)")
    return int(match[1]), int(match[2])
