"""The encode itself: the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.media.open import open_clip
from harness.roi.encode import encode
from harness.roi.encoders import Settings, find_encoder
from harness.roi.proof import stream_digest


@pytest.mark.slow
def test_encodes_of_pictures_repeat_to_the_byte(pictures: Path, tmp_path: Path) -> None:
    clip, digests = open_clip(pictures), set()
    for name in ("one.mkv", "two.mkv", "three.mkv"):
        out = tmp_path / name
        encode(clip.info, ((frame, None) for frame in clip), find_encoder("libx264"), Settings(crf=43), out)
        digests.add(stream_digest(out))
    assert len(digests) == 1
