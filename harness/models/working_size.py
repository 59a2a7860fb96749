"""The size at which a saliency model sees a picture."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.errors import InputError

SMALLEST, LARGEST = 16, 8192


@dataclass(frozen=True)
class WorkingSize:
    """`native`, `N` (N x N, aspect ignored), `short:N` (short side N, aspect kept) or `WxH`.

    >>> WorkingSize.parse("256").of(1080, 1920)
    (256, 256)
    >>> WorkingSize.parse("short:256").of(1080, 1920)
    (256, 455)
    >>> str(WorkingSize.parse("448x256"))
    '448x256'
    """

    height: int | None = None
    width: int | None = None
    short_side: int | None = None

    @classmethod
    def parse(cls, text: str) -> WorkingSize:
        """Read the option's text; `InputError` says what is allowed."""
        if text == "native":
            return cls()
        match = re.fullmatch(r"(short:)?(\d{1,9})(?:x(\d{1,9}))?", text)
        sides = [int(side) for side in match.groups()[1:] if side] if match else []
        if not match or (match[1] and match[3]) or not all(SMALLEST <= side <= LARGEST for side in sides):
            raise InputError(
                f"working size {text!r} (allowed: native, N, short:N or WxH, each from {SMALLEST} to {LARGEST})"
            )
        if match[1]:
            return cls(short_side=int(match[2]))
        return cls(height=int(match[3] or match[2]), width=int(match[2]))

    def of(self, height: int, width: int) -> tuple[int, int]:
        """The working `(height, width)` of a picture."""
        if self.short_side:
            scale = self.short_side / min(height, width)
            return max(self.short_side, round(height * scale)), max(self.short_side, round(width * scale))
        return self.height or height, self.width or width

    def __str__(self) -> str:
        if self.short_side:
            return f"short:{self.short_side}"
        if self.height is None:
            return "native"
        return str(self.height) if self.height == self.width else f"{self.width}x{self.height}"


NATIVE = WorkingSize()
