"""Two clips in step, or refused with both values."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from harness.errors import InputError
from harness.media.open import open_clip
from harness.media.pairing import pair, survey
from harness.media.y4m import write_y4m
from tests.helpers.clips import noisy_clip as clip
from tests.helpers.containers import SHARP, cut_by_edit_list, drawn, ff, packed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": (64, 80)}, "size 64x64 against 64x80"),
        ({"count": 5}, "6 against 5 frames"),
        ({"rate": Fraction(30)}, "frame rate 25 fps against 30 fps"),
        ({"depth": 10}, "pixel format yuv420p against yuv420p10le"),
        ({"chroma": "444"}, "pixel format yuv420p against yuv444p"),
    ],
)
def test_clips_out_of_step_are_refused_with_both_values(tmp_path, change, words):
    with pytest.raises(InputError, match=f"do not match: {words}"):
        pair(clip(tmp_path / "r.y4m"), clip(tmp_path / "d.y4m", **change))


def test_colours_that_differ_are_refused_as_the_samples_mean_other_things(tmp_path):
    frames = list(clip(tmp_path / "r.y4m"))
    write_y4m(tmp_path / "pc.y4m", [replace(frame, range="pc") for frame in frames], Fraction(25))
    plain, full = open_clip(tmp_path / "r.y4m"), open_clip(tmp_path / "pc.y4m")
    assert plain.info.range == "unspecified"
    with pytest.raises(InputError, match=r"colour range pc against unspecified \(a y4m of full range says XCOLORRANGE"):
        pair(full, plain)
    tagged = {name: replace(plain, info=replace(plain.info, matrix=name, range="tv")) for name in ("bt709", "bt470bg")}
    with pytest.raises(InputError, match=r"colour matrix bt709 against bt470bg \(convert one first"):
        pair(tagged["bt709"], tagged["bt470bg"])
    same = replace(plain, info=replace(plain.info, matrix="smpte170m"))
    assert pair(tagged["bt470bg"], same).count == pair(tagged["bt709"], plain).count == 6


def test_shortest_and_ranges_are_explicit(tmp_path):
    reference = clip(tmp_path / "r.y4m", 6)
    distorted = clip(tmp_path / "d.y4m", 4)
    assert pair(reference, distorted, shortest=True).count == 4
    found = pair(reference, distorted, offset=-2)
    assert (found.first_reference, found.first_distorted, found.count) == (2, 0, 4)
    with pytest.raises(InputError, match=r"frames 2:9 of 4 pairs \(allowed: 0:1 to 0:4\)"):
        pair(reference, distorted, shortest=True, first=2, last=9)


def test_an_edit_list_that_cuts_the_start_leaves_the_frames_that_a_player_shows(tmp_path):
    """Twelve decode; the list begins at the sixth, within a group of pictures, so five are decoded and not shown."""
    whole = drawn(tmp_path / "whole.mp4", *SHARP, "-bf", "2")
    late = tmp_path / "late.mp4"
    late.write_bytes(whole.read_bytes())
    opened = open_clip(cut_by_edit_list(late, 5))
    ff("-i", late, "-c:v", "ffv1", tmp_path / "shown.mkv")
    assert opened.info.frames == 12, "what the container states"
    assert survey(opened).frames == survey(open_clip(tmp_path / "shown.mkv")).frames == 7
    for ours, theirs, kept in zip(opened, open_clip(tmp_path / "shown.mkv"), list(open_clip(whole))[5:], strict=True):
        assert np.array_equal(ours.y, theirs.y) and np.array_equal(ours.y, kept.y)
    found = pair(open_clip(whole), opened, offset=-5)
    assert (found.first_reference, found.first_distorted, found.count) == (5, 0, 7)


def test_frames_of_a_packed_bitstream_are_counted_as_they_decode(tmp_path):
    clips = open_clip(packed(tmp_path / "packed.avi", frames=11)), open_clip(tmp_path / "plain.avi")
    assert [survey(one).frames for one in clips] == [11, 11]
    assert all(np.array_equal(one.y, two.y) for one, two in zip(*clips, strict=True))


@pytest.mark.parametrize(
    ("size", "words"), [((64, 66), r"crop=64:64:0:0"), ((64, 128), r"size 64x64 against 64x128 \(--sc")]
)
def test_rows_that_an_encoder_added_are_cut_rather_than_scaled(tmp_path, size, words):
    with pytest.raises(InputError, match=words):
        pair(clip(tmp_path / "r.y4m"), clip(tmp_path / "d.y4m", size=size))
