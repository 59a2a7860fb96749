"""The extractor's conversion pixel by pixel: compiled where numba is installed, with the same results to the bit."""

from __future__ import annotations

import numpy as np

# Times the float32 reciprocal: a true division differs in the last bit, and then in the sixth decimal of the mean.
LUMA_ZERO, LUMA_SCALE = np.float32(16), np.float32(1) / np.float32(219)
CHROMA_ZERO, CHROMA_SCALE = np.float32(128), np.float32(1) / np.float32(224)
RED_V, GREEN_U, GREEN_V, BLUE_U = np.array([1.28033, 0.21482, 0.38059, 2.12798], np.float32)
NONE, HALF, ONE, TOP = np.array([0, 0.5, 1, 255], np.float32)


def planes(
    y: np.ndarray, u: np.ndarray, v: np.ndarray, across: int, down: int, steps: np.ndarray, into: np.ndarray
) -> None:
    """What a graph reads of a frame into the part of `into`, float32 `[3, H, W]`, that luma `[H, W]` covers.

    `across` and `down` pixels share a sample of chroma. `steps`, float32 `[3, 3]`, has of each channel what its levels
    are scaled by, what is taken off, and what that is scaled by.
    """
    height, width = y.shape
    line, wide_u, wide_v = np.empty(width, np.uint8), np.empty(width + 1, np.uint8), np.empty(width + 1, np.uint8)
    for row in range(height):
        if row % down == 0:  # kept as bytes: what is made of them is cheaper made again than read again
            some_u, some_v = u[row // down], v[row // down]
            if across == 1:
                wide_u[:width], wide_v[:width] = some_u, some_v
            else:
                for x in range(some_u.size):
                    wide_u[2 * x] = some_u[x]
                    wide_u[2 * x + 1] = some_u[x]
                    wide_v[2 * x] = some_v[x]
                    wide_v[2 * x + 1] = some_v[x]
        line[:] = y[row]
        reds, greens, blues = into[0, row], into[1, row], into[2, row]
        for x in range(width):
            luma = (np.float32(line[x]) - LUMA_ZERO) * LUMA_SCALE
            of_red = (np.float32(wide_v[x]) - CHROMA_ZERO) * CHROMA_SCALE
            of_blue = (np.float32(wide_u[x]) - CHROMA_ZERO) * CHROMA_SCALE
            red = min(max(luma + RED_V * of_red, NONE), ONE) * TOP + HALF
            green = min(max(luma - GREEN_U * of_blue - GREEN_V * of_red, NONE), ONE) * TOP + HALF
            blue = min(max(luma + BLUE_U * of_blue, NONE), ONE) * TOP + HALF
            reds[x] = (np.floor(red) * steps[0, 0] - steps[0, 1]) * steps[0, 2]
            greens[x] = (np.floor(green) * steps[1, 0] - steps[1, 1]) * steps[1, 2]
            blues[x] = (np.floor(blue) * steps[2, 0] - steps[2, 1]) * steps[2, 2]
