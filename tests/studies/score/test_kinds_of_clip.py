"""Kinds of clip that were scored wrong in silence, or refused: the VMAF of each, as held against other tools."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.media.ffmpeg import find_ffmpeg
from harness.media.open import open_clip
from harness.studies.score.pair import ScorePlan, score


def ff(*words: str | Path) -> None:
    subprocess.run([find_ffmpeg().path, "-y", "-loglevel", "error", *map(str, words)], check=True)


@pytest.fixture(scope="module")
def film(shared, tmp_path_factory) -> Path:
    """A folder with `src.mkv`, 40 frames without loss, and `ref.mp4`, made of it with groups of ten and B-frames."""
    made = tmp_path_factory.mktemp("film")
    frames = shared / "corpora" / "DAVIS-2016" / "JPEGImages" / "480p" / "blackswan" / "%05d.jpg"
    scaled = ["-frames:v", "40", "-vf", "scale=480:272,format=yuv420p", "-c:v", "ffv1"]
    ff("-framerate", "25", "-i", frames, *scaled, made / "src.mkv")
    sound = ["-f", "lavfi", "-i", "sine=440:r=48000:d=1.6", "-map", "0:v", "-map", "1:a", "-c:a", "aac"]
    ff("-i", made / "src.mkv", *sound, "-c:v", "libx264", "-crf", "12", "-bf", "2", "-g", "10", made / "ref.mp4")
    return made


def vmaf(reference: Path, distorted: Path) -> tuple[int, float]:
    log = score(reference, distorted, [], ScorePlan(metrics=())).log
    return len(log.frames), round(float(log.column("vmaf").mean()), 2)


def test_all_frames_of_a_fragmented_mp4_are_scored(film, tmp_path):
    fragmented = ["-movflags", "frag_keyframe"]
    ff("-i", film / "ref.mp4", "-c", "copy", *fragmented, tmp_path / "a.mp4")
    ff("-i", film / "ref.mp4", "-crf", "32", "-g", "10", "-an", *fragmented, tmp_path / "b.mp4")
    assert open_clip(tmp_path / "a.mp4").info.frames == 10, "only the first fragment's are stated"
    assert vmaf(tmp_path / "a.mp4", tmp_path / "b.mp4") == (40, pytest.approx(79.41, abs=0.02))


def test_a_cut_within_a_group_pairs_the_frames_that_are_shown(film, tmp_path):
    ff("-ss", "0.5", "-i", film / "ref.mp4", "-c", "copy", tmp_path / "cut.mp4")
    ff("-i", tmp_path / "cut.mp4", "-crf", "32", "-an", tmp_path / "d.mp4")
    assert open_clip(tmp_path / "cut.mp4").info.frames == 30, "three of them are not shown"
    assert vmaf(tmp_path / "cut.mp4", tmp_path / "d.mp4") == (27, pytest.approx(78.43, abs=0.02))


@pytest.mark.parametrize(("turn", "right"), [(180, 77.07), (90, 77.89)])
def test_a_turned_clip_and_its_upright_encode_are_compared_as_they_are_shown(film, tmp_path, turn, right):
    ff("-display_rotation", str(turn), "-i", film / "ref.mp4", "-c", "copy", tmp_path / "r.mp4")
    ff("-i", tmp_path / "r.mp4", "-crf", "32", "-an", tmp_path / "d.mp4")
    assert vmaf(tmp_path / "r.mp4", tmp_path / "d.mp4") == (40, pytest.approx(right, abs=0.02))


def test_frames_dropped_from_an_avi_are_not_counted(film, tmp_path):
    """An AVI keeps an empty packet for each frame that was dropped."""
    dropped = ["-vf", "select=not(between(n\\,5\\,9))", "-fps_mode", "passthrough", "-c:v", "mpeg4", "-q:v", "2"]
    ff("-i", film / "src.mkv", *dropped, tmp_path / "gaps.avi")
    decoded = len(list(open_clip(tmp_path / "gaps.avi")))
    assert decoded == 35 < (open_clip(tmp_path / "gaps.avi").info.frames or 40)
    assert vmaf(tmp_path / "gaps.avi", tmp_path / "gaps.avi")[0] == 35


def test_a_mirrored_clip_is_refused_with_the_way_out(film, tmp_path):
    ff("-display_hflip", "-i", film / "ref.mp4", "-c", "copy", tmp_path / "m.mp4")
    with pytest.raises(InputError, match=r"mirrored .*\(make it upright first: ffmpeg -i m\.mp4 -c:v ffv1 OUT\.mkv\)"):
        vmaf(tmp_path / "m.mp4", tmp_path / "m.mp4")
