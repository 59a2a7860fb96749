"""A clip whose display matrix turns it, as a player shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from harness.errors import InputError
from harness.media.frames import ClipInfo, Frame
from harness.media.open import Clip


@dataclass(frozen=True)
class Upright(Clip):
    """A clip turned by `turn` degrees counter-clockwise: 90, 180 or 270; `stored` is the clip as its file holds it."""

    stored: Clip | None = None
    turn: int = 0

    def __iter__(self) -> Iterator[Frame]:
        assert self.stored
        return (_turned(frame, self.turn) for frame in self.stored)


def upright(clip: Clip, turn: int | None) -> Clip:
    """The clip as it is to be shown, `turn` as its frames state it.

    Raises `InputError` for a mirrored clip, an angle that no exchange of rows and columns gives, and a quarter turn of
    4:2:2, whose chroma would then be of another layout.
    """
    if not turn and turn is not None:
        return clip
    remedy = f"(make it upright first: ffmpeg -i {clip.info.path.name} -c:v ffv1 OUT.mkv)"
    if turn not in (90, 180, 270):
        how = "mirrored or by another angle than 90, 180 or 270 degrees" if turn is None else f"by {turn} degrees"
        raise InputError(f"clip {clip.info.path} is to be shown turned: {how} {remedy}")
    if turn != 180 and clip.info.chroma == "422":
        raise InputError(f"clip {clip.info.path} is 4:2:2 and to be shown turned by {turn} degrees {remedy}")
    return Upright(_described(clip.info, turn), stored=clip, turn=turn)


def _described(info: ClipInfo, turn: int) -> ClipInfo:
    if turn == 180:
        return info
    return replace(info, width=info.height, height=info.width, pixel_shape=1 / info.pixel_shape)


def _turned(frame: Frame, turn: int) -> Frame:
    y, u, v = (None if plane is None else np.rot90(plane, turn // 90) for plane in (frame.y, frame.u, frame.v))
    assert y is not None
    return replace(frame, y=y, u=u, v=v, turned=False, turn=0)
