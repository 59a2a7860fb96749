"""Scenes that are drawn, not filmed: a textured object with its exact mask before a textured background.

Everything follows from a seed: the same seed, size and time give the same pixels.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

Array = NDArray[np.float64]
Field = Callable[[Array, Array, float], Array]  # (u, v, time) -> signed distance: negative inside, in object units

TILE = 256  # side of an object's texture in texels, repeated
EXTENT = 2.1  # no shape or shadow reaches further from its centre, in radii
MARGIN = 0.35  # the background reaches this share of the frame's side beyond every edge, for the camera to pan


@dataclass(frozen=True)
class Thing:
    """An object or distractor: `radius` and `centre` (x, y) are in pixels of the frame at time 0.

    `sway` (x, y) pixels and `turn` radians are its motion's amplitudes, `phase` where in it the clip begins.
    """

    shape: Field
    radius: float
    centre: tuple[float, float]
    sway: tuple[float, float]
    turn: float
    phase: float
    paint: Array  # float [TILE, TILE, 3], 0..255
    blur: float
    shadow: float
    salient: bool


@dataclass(frozen=True)
class Scene:
    """A background larger than the frame (float [H, W, 3], 0..255), things on it, and a camera that pans."""

    size: tuple[int, int]
    background: Array
    things: tuple[Thing, ...]
    pan: tuple[float, float]
    seed: tuple[int, ...]

    def render(self, time: float = 0.0) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The frame, uint8 RGB [H, W, 3], and the exact mask of the salient things, bool [H, W].

        `time` runs from 0 to 1 over a clip. A pixel belongs to an object when its centre does.
        """
        width, height = self.size
        camera = self._camera(time)
        frame = self._seen_background(camera)
        mask = np.zeros((height, width), dtype=bool)
        for thing in self.things:
            drift = (0.0, 0.0) if thing.salient else camera  # distractors stand on the ground, objects are followed
            _draw(frame, mask, thing, time, drift)
        noise = np.random.default_rng([*self.seed, 7, round(time * 1e6)]).normal(0.0, 1.0, (height, width, 1))
        return np.clip(frame + noise + 0.5, 0, 255).astype(np.uint8), mask

    def _camera(self, time: float) -> tuple[float, float]:
        swing = np.sin(np.pi * (time - 0.5))
        return self.pan[0] * swing, self.pan[1] * swing

    def _seen_background(self, camera: tuple[float, float]) -> Array:
        width, height = self.size
        margin_y, margin_x = (
            (full - side) / 2 for full, side in zip(self.background.shape[:2], (height, width), strict=True)
        )
        top, left = margin_y + camera[1], margin_x + camera[0]
        y, x = int(top), int(left)
        fy, fx = top - y, left - x
        window = self.background[y : y + height + 1, x : x + width + 1]
        upper = window[:-1, :-1] * (1 - fx) + window[:-1, 1:] * fx
        lower = window[1:, :-1] * (1 - fx) + window[1:, 1:] * fx
        return upper * (1 - fy) + lower * fy


def make_scene(
    seed: tuple[int, ...], size: tuple[int, int], *, moving: bool = False, panning: bool = False, low_contrast: bool
) -> Scene:
    """A scene of one salient object, sometimes two, and a few distractors; `size` is (width, height) in pixels.

    A `low_contrast` object takes its colours from near the background's. `moving` objects sway, turn and walk;
    a `panning` camera follows them over the background.
    """
    rng = np.random.default_rng(seed)
    width, height = size
    background, ground = _background(rng, (int(height * (1 + 2 * MARGIN)), int(width * (1 + 2 * MARGIN))))
    things = [_distractor(rng, size, ground) for _ in range(rng.integers(2, 6))]
    objects = 1 + (rng.random() < 0.2)
    for number in range(objects):
        things.append(_object(rng, size, ground, moving, low_contrast, number, objects))
    pan = tuple(rng.uniform(0.3, 0.9) * MARGIN * side * rng.choice([-1, 1]) for side in (width, height / 4))
    return Scene(size, background, tuple(things), (pan[0], pan[1]) if panning else (0.0, 0.0), seed)


def pink_noise(rng: np.random.Generator, shape: tuple[int, int], slope: float, stretch: float = 1.0) -> Array:
    """Noise with amplitude spectrum 1/f**`slope`, mean 0, deviation 1, [H, W], wrapping at the edges.

    `stretch` above 1 makes its features longer horizontally. Natural images have slopes near 1 (Field 1987).
    """
    y = np.fft.fftfreq(shape[0])[:, None]
    x = np.fft.rfftfreq(shape[1])[None, :] * stretch
    frequency = np.hypot(y, x)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal(shape)) / frequency**slope
    noise = np.fft.irfft2(spectrum, s=shape)
    return noise / noise.std()


def _background(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Array, Array]:
    """A muted scene [H, W, 3]: far above, near below, lit unevenly; and its mean ground colour [3]."""
    hue = rng.uniform(0, 1)
    near = _colour(hue, rng.uniform(0.08, 0.35), rng.uniform(0.35, 0.6))
    far = _colour(hue + rng.uniform(-0.15, 0.15), rng.uniform(0.02, 0.25), rng.uniform(0.45, 0.8))
    height = np.linspace(0, 1, shape[0])[:, None]
    horizon = rng.uniform(0.25, 0.5) + 0.03 * pink_noise(rng, (1, shape[1]), 1.5)[0]
    ground = 1 / (1 + np.exp(-(height - horizon) * rng.uniform(6, 60)))
    stretch = rng.uniform(1, 4)
    coarse = pink_noise(rng, shape, 1.3, stretch)
    fine = pink_noise(rng, shape, 0.7, stretch)
    light = 1 + 0.15 * pink_noise(rng, shape, 2.0)
    texture = (rng.uniform(5, 12) * coarse + rng.uniform(1, 4) * fine) * (0.3 + 0.7 * ground)
    tint = 1 + rng.uniform(-0.25, 0.25, 3)
    image = ground[..., None] * near + (1 - ground)[..., None] * far
    return np.clip(image * light[..., None] + texture[..., None] * tint, 0, 255), near


def _object(
    rng: np.random.Generator,
    size: tuple[int, int],
    ground: Array,
    moving: bool,
    low_contrast: bool,
    number: int,
    objects: int,
) -> Thing:
    short = min(size)
    radius = short * rng.uniform(0.17, 0.34) / np.sqrt(objects)
    reach = (radius * 1.3, radius * 1.1)
    lane = size[0] / objects
    sway = (lane * rng.uniform(0.05, 0.2), short * rng.uniform(0.01, 0.06)) if moving else (0.0, 0.0)
    edge = [min(reach[axis] + sway[axis], side / 2) for axis, side in enumerate((lane, size[1]))]
    centre = (number * lane + rng.uniform(edge[0], lane - edge[0]), rng.uniform(edge[1], size[1] - edge[1]))
    shape = SHAPES[int(rng.integers(len(SHAPES)))](rng)
    turn = rng.uniform(0.05, 0.25) if moving else 0.0
    paint = _paint(rng, ground, low_contrast)
    return Thing(shape, radius, centre, sway, turn, rng.uniform(0, 1), paint, 0.0, 0.35, salient=True)


def _distractor(rng: np.random.Generator, size: tuple[int, int], ground: Array) -> Thing:
    radius = min(size) * rng.uniform(0.03, 0.09)
    centre = tuple(rng.uniform(-0.2, 1.2) * side for side in size)
    colour = ground * rng.uniform(0.75, 1.25) + rng.normal(0, 8, 3)
    paint = colour + 6 * pink_noise(rng, (TILE, TILE), 1.2)[..., None]
    shape = _blob(rng)
    return Thing(shape, radius, (centre[0], centre[1]), (0.0, 0.0), 0.0, 0.0, paint, 1.2, 0.15, salient=False)


def _paint(rng: np.random.Generator, ground: Array, low_contrast: bool) -> Array:
    """An object's surface [TILE, TILE, 3]: two colours in a marbled pattern, and grain."""
    if low_contrast:
        first = np.clip(ground * rng.choice([0.72, 1.3]) + rng.normal(0, 6, 3), 20, 235)
        second = first * rng.uniform(0.8, 1.2)
    else:
        hue = colorsys.rgb_to_hsv(*(ground / 255))[0] + rng.uniform(0.25, 0.75)
        bright = ground.mean() < 128
        first = _colour(hue, rng.uniform(0.35, 0.8), rng.uniform(0.6, 0.95) if bright else rng.uniform(0.2, 0.6))
        second = _colour(hue + rng.uniform(-0.12, 0.12), rng.uniform(0.2, 0.8), rng.uniform(0.15, 0.95))
    pattern = 1 / (1 + np.exp(-4 * (pink_noise(rng, (TILE, TILE), 1.6, rng.uniform(0.5, 2)) - rng.uniform(0, 1))))
    grain = pink_noise(rng, (TILE, TILE), 0.8)
    return first * (1 - pattern[..., None]) + second * pattern[..., None] + rng.uniform(4, 9) * grain[..., None]


def _draw(frame: Array, mask: NDArray[np.bool_], thing: Thing, time: float, drift: tuple[float, float]) -> None:
    """Paint `thing` on `frame`, its shadow first, and set or clear `mask` where its own pixels are; both in place."""
    swing = np.sin(2 * np.pi * (0.5 * time + thing.phase)) - np.sin(2 * np.pi * thing.phase)
    x = thing.centre[0] + thing.sway[0] * swing / 2 - drift[0]
    y = thing.centre[1] + thing.sway[1] * swing / 2 - drift[1]
    reach = EXTENT * thing.radius + 4
    top, bottom = (int(np.clip(edge, 0, frame.shape[0])) for edge in (y - reach, y + reach))
    left, right = (int(np.clip(edge, 0, frame.shape[1])) for edge in (x - reach, x + reach))
    if top >= bottom or left >= right:
        return
    across = (np.arange(left, right)[None, :] - x) / thing.radius
    down = (np.arange(top, bottom)[:, None] - y) / thing.radius
    angle = thing.turn * np.sin(2 * np.pi * (time + thing.phase))
    u = np.cos(angle) * across + np.sin(angle) * down
    v = -np.sin(angle) * across + np.cos(angle) * down
    distance = thing.shape(u, v, time)
    part = frame[top:bottom, left:right]
    shadow = np.clip(0.5 - thing.shape(u - 0.1, (v - 0.85) * 3.5, time), 0, 1) * thing.shadow
    part *= 1 - gaussian_filter(shadow, thing.radius * 0.1)[..., None]
    texels = np.stack([v * thing.radius, u * thing.radius])
    paint = np.stack([map_coordinates(thing.paint[..., c], texels, order=1, mode="grid-wrap") for c in range(3)], -1)
    light = 0.72 + 0.45 * np.sqrt(np.clip(-distance * 1.6, 0, 1)) - 0.14 * np.clip(u + 1.5 * v, -1.5, 1.5)
    cover = np.clip(0.5 - distance * thing.radius, 0, 1)
    if thing.blur:
        cover = gaussian_filter(cover, thing.blur)
    part += cover[..., None] * (np.clip(paint * light[..., None], 0, 255) - part)
    mask[top:bottom, left:right][distance < 0] = thing.salient


def _colour(hue: float, saturation: float, value: float) -> Array:
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation, value)) * 255


# Shapes. Each takes a generator and returns a field; unit length is the object's radius, v points down.


def _blob(rng: np.random.Generator) -> Field:
    waves = np.arange(2, 6)
    heights = rng.normal(0, 0.22, 4) / waves
    phases = rng.uniform(0, 2 * np.pi, 4)
    flat = rng.uniform(0.65, 1.0)

    def field(u: Array, v: Array, time: float) -> Array:
        angle = np.arctan2(v / flat, u)
        edge = 0.9 + sum(
            height * np.cos(wave * angle + phase + np.sin(2 * np.pi * time) * 0.4)
            for wave, height, phase in zip(waves, heights, phases, strict=True)
        )
        return (np.hypot(u, v / flat) - edge) * flat

    return field


def _animal(rng: np.random.Generator) -> Field:
    side = rng.choice([-1.0, 1.0])
    neck, thick, stride = rng.uniform(0.3, 0.6), rng.uniform(0.07, 0.12), rng.uniform(0.5, 1.0)
    gait = rng.uniform(0, 2 * np.pi, 4)

    def field(u: Array, v: Array, time: float) -> Array:
        u = u * side
        parts = [
            _ellipse(u, v, 0.0, -0.05, 0.78, 0.4),
            _ellipse(u, v, 0.92, -0.35 - neck, 0.28, 0.2),
            _stick(u, v, (0.6, -0.15), (0.85, -0.3 - neck), 0.17),
            _stick(u, v, (-0.7, -0.15), (-1.05, -0.35), 0.06),
        ]
        for hip, phase in zip((-0.6, -0.42, 0.4, 0.58), gait, strict=True):
            foot = hip + 0.14 * np.sin(2 * np.pi * 2 * stride * time + phase)
            parts.append(_stick(u, v, (hip, 0.1), (foot, 0.88), thick))
        return _union(parts)

    return field


def _vehicle(rng: np.random.Generator) -> Field:
    cabin, roof = rng.uniform(-0.2, 0.15), rng.uniform(0.3, 0.5)

    def field(u: Array, v: Array, time: float) -> Array:
        return _union(
            [
                _box(u, v, 0.0, 0.15, 1.1, 0.28, 0.12),
                _box(u, v, cabin, -0.2, 0.6, roof, 0.2),
                _ellipse(u, v, -0.65, 0.45, 0.23, 0.23),
                _ellipse(u, v, 0.65, 0.45, 0.23, 0.23),
            ]
        )

    return field


def _fish(rng: np.random.Generator) -> Field:
    side, deep = rng.choice([-1.0, 1.0]), rng.uniform(0.4, 0.62)

    def field(u: Array, v: Array, time: float) -> Array:
        u = u * side
        bend = v + 0.18 * np.sin(2 * np.pi * (1.5 * time) - 2 * u) * np.clip(-u, 0, 1)
        tail = np.maximum(np.abs(bend) - 0.75 * np.clip(-u - 0.55, 0, 1) - 0.04, np.maximum(-1.25 - u, u + 0.5))
        return _union([_ellipse(u, bend, 0.1, 0.0, 0.85, deep), tail, _ellipse(u, bend, 0.0, -deep, 0.3, 0.2)])

    return field


def _vase(rng: np.random.Generator) -> Field:
    belly, neck, low = rng.uniform(0.45, 0.7), rng.uniform(0.15, 0.28), rng.uniform(0.1, 0.4)

    def field(u: Array, v: Array, time: float) -> Array:
        half = neck + (belly - neck) * np.exp(-(((v - low) / 0.5) ** 2)) + 0.12 * np.exp(-(((v + 0.95) / 0.12) ** 2))
        return np.maximum((np.abs(u) - half) * 0.8, np.abs(v) - 1.0)

    return field


SHAPES = (_blob, _animal, _vehicle, _fish, _vase)


def _ellipse(u: Array, v: Array, x: float, y: float, a: float, b: float) -> Array:
    return (np.hypot((u - x) / a, (v - y) / b) - 1) * min(a, b)


def _box(u: Array, v: Array, x: float, y: float, a: float, b: float, corner: float) -> Array:
    over_u, over_v = np.abs(u - x) - a + corner, np.abs(v - y) - b + corner
    outside = np.hypot(np.maximum(over_u, 0), np.maximum(over_v, 0))
    return outside + np.minimum(np.maximum(over_u, over_v), 0) - corner


def _stick(u: Array, v: Array, start: tuple[float, float], end: tuple[float, float], radius: float) -> Array:
    along = (end[0] - start[0], end[1] - start[1])
    share = ((u - start[0]) * along[0] + (v - start[1]) * along[1]) / (along[0] ** 2 + along[1] ** 2)
    share = np.clip(share, 0, 1)
    return np.hypot(u - start[0] - share * along[0], v - start[1] - share * along[1]) - radius


def _union(parts: list[Array]) -> Array:
    return np.minimum.reduce(parts)
