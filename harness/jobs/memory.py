"""How a process that makes and frees the same large arrays over and over asks its allocator to keep them."""

from __future__ import annotations

import contextlib
import ctypes
import functools


@functools.cache
def keep_freed_memory() -> None:
    """Ask glibc to reuse freed blocks: returned to the system, every page of the next array faults in again."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        arena_max, mmap_max, trim_threshold, top_pad = -8, -4, -1, -2
        for option, value in ((arena_max, 1), (mmap_max, 0), (trim_threshold, 2**31 - 1), (top_pad, 1 << 28)):
            mallopt(option, value)
