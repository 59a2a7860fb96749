"""Which of a file's video streams is meant, and what else is read out of it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from harness.media.contents import read_contents
from harness.media.ffmpeg import find_ffmpeg
from harness.media.open import open_clip
from harness.media.pairing import as_input
from tests.helpers.clips import write_clip


def test_scores_read_the_film_and_not_the_picture_before_it(tmp_path: Path) -> None:
    film, cover, clip = write_clip(tmp_path / "film.mkv", frames=5), tmp_path / "cover.jpg", tmp_path / "clip.mkv"
    next(iter(open_clip(film))).picture().to_image().save(cover)
    flags = ["-disposition:v:0", "0", "-disposition:v:1", "default"]
    words = ["-i", str(cover), "-i", str(film), "-map", "0:v", "-map", "1:v", "-c", "copy", *flags, str(clip)]
    find_ffmpeg().run(words)
    opened = open_clip(clip)
    assert (as_input(opened, tmp_path).stream, len(list(opened))) == (1, 5)


def test_evenly_spaced_frames_have_no_tick_and_others_their_stream_s(tmp_path: Path) -> None:
    even = write_clip(tmp_path / "even.mkv", frames=8)
    uneven = write_clip(tmp_path / "uneven.mkv", times=[0, 40, 80, 125, 160, 200, 240, 280])
    assert read_contents(open_clip(even))[0].info.tick is None
    assert read_contents(open_clip(uneven))[0].info.tick == Fraction(1, 1000)
    assert read_contents(open_clip(write_clip(tmp_path / "clip.y4m")))[1] is None
