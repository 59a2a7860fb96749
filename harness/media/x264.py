"""x264 without AVX-512: its MB-tree reads memory there that nobody wrote, so the same input gives other bytes each run.

Measured with `MALLOC_PERTURB_`: the stream changes with the perturbation under AVX-512 alone; not with `mbtree=0`,
`rc-lookahead=0`, `asm=0`, or all other instruction sets. Threads and libswscale do not matter, x265 is not touched.
"""

from __future__ import annotations

import functools
import re
from fractions import Fraction

import av

from harness.media.said import said

OPTION = "x264-params"
_UNSTEADY = "AVX512"


@functools.cache
def without_avx512() -> str:
    """`asm=…` with what x264 itself finds in this processor but AVX-512; empty where it finds none: `asm` forces."""
    with said(av.logging.INFO) as logs:
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width = encoder.height = 16
        encoder.pix_fmt, encoder.framerate = "yuv420p", Fraction(25)
        encoder.open()
    return _trimmed(" ".join(text for _, _, text in logs))


def _trimmed(said: str) -> str:
    """
    >>> _trimmed("using cpu capabilities: MMX2 SSE2Fast SSSE3 SSE4.2 AVX FMA3 BMI2 AVX2 AVX512")
    'asm=MMX2,SSE2Fast,SSSE3,SSE4.2,AVX,FMA3,BMI2,AVX2'
    >>> _trimmed("using cpu capabilities: MMX2 SSE2Fast SSSE3 SSE4.2 AVX FMA3 BMI2 AVX2")
    ''
    """
    match = re.search(r"using cpu capabilities: (.+)", said)
    found = match[1].split() if match else []
    kept = [name for name in found if name != _UNSTEADY]
    return f"asm={','.join(kept)}" if len(kept) < len(found) else ""


def steady(options: dict[str, str]) -> dict[str, str]:
    """FFmpeg's `options` for libx264 with AVX-512 left out, unless they choose instruction sets themselves."""
    given = ":".join(filter(None, (options.get(OPTION), options.get("x264opts"))))
    if re.search(r"(^|:)(no-?)?asm\b", given) or not without_avx512():
        return options
    return {**options, OPTION: ":".join(filter(None, [options.get(OPTION), without_avx512()]))}
