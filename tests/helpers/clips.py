"""Clips and frames made on the spot."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from harness.media.frames import Frame, pix_fmt_name
from harness.media.open import open_clip
from harness.media.y4m import write_y4m


def write_video(path, count=6, width=64, height=48, rate=30, options=None, **tags):
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for _ in range(count):
            noise = rng.integers(0, 256, (height, width, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def write_clip(
    path: Path,
    size: tuple[int, int] = (160, 96),
    frames: int = 8,
    pix_fmt: str = "yuv420p",
    times: Any = None,
    audio: bool = False,
) -> Path:
    """A drifting texture, encoded losslessly enough for a source."""
    rng = np.random.default_rng(1)
    texture = rng.integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)
    with av.open(str(path), "w") as container:
        codec = "rawvideo" if path.suffix == ".y4m" else "ffv1"
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        sound: Any = container.add_stream("pcm_s16le", rate=8000, layout="mono") if audio else None
        stream.codec_context.time_base = Fraction(1, 1000)
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(np.roll(texture, 2 * index, 1), format="rgb24").reformat(format=pix_fmt)
            frame.pts = times[index] if times else index * 40
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound:
            samples = rng.integers(-999, 999, (1, 8000 * frames // 25)).astype(np.int16)
            noise = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            noise.sample_rate, noise.pts = 8000, 0
            container.mux(sound.encode(noise))
            container.mux(sound.encode(None))
    return path


def synthetic(width, height, chroma, seed, depth=8):
    """A frame of smooth and noisy parts, the same on every machine: integer arithmetic only."""
    across, down = (2, 2) if chroma == "420" else (2, 1) if chroma == "422" else (1, 1)

    def plane(columns, rows, salt):
        y, x = np.mgrid[:rows, :columns]
        return ((x * (3 + salt) + y * (5 + seed) + (x * y * (salt + 7)) // 11) % (1 << depth)).astype(
            np.uint8 if depth == 8 else np.uint16
        )

    u, v = (plane(-(-width // across), -(-height // down), salt) for salt in (1, 2))
    return Frame(0, 0.0, plane(width, height, 0), u, v, pix_fmt_name(depth, chroma), depth, chroma)


def noisy_clip(path, count=6, noise=0, size=(64, 64), rate=Fraction(25), depth=8, chroma="420"):
    """A y4m of synthetic frames, their luma spoiled by up to `noise`; opened."""
    rng = np.random.default_rng(5)

    def frames():
        for index in range(count):
            frame = synthetic(*size, chroma, index, depth)
            spoiled = np.clip(frame.y.astype(int) + rng.integers(-noise, noise + 1, frame.y.shape), 0, 2**depth - 1)
            yield replace(frame, index=index, y=spoiled.astype(frame.y.dtype))

    write_y4m(path, frames(), rate)
    return open_clip(path)
