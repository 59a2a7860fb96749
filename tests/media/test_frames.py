"""Clips are described and streamed as they are, and refused in one line when they are not whole."""

import gc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from corpora.synth import ClipOptions, write_clips
from harness.errors import InputError
from harness.media.open import Clip, open_clip
from tests.helpers.clips import write_video


def pictures(count=5, width=48, height=32, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(16, 236, (height * 3 // 2, width), np.uint8) for _ in range(count)]


def write_y4m(path, planes, width=48, height=32, chroma="420jpeg", rate="24:1"):
    header = f"YUV4MPEG2 W{width} H{height} F{rate} Ip A1:1 C{chroma}\n".encode()
    path.write_bytes(header + b"".join(b"FRAME\n" + plane.tobytes() for plane in planes))
    return path


def test_y4m_streams_its_very_samples(tmp_path):
    planes = pictures()
    clip = open_clip(write_y4m(tmp_path / "a.y4m", planes))
    info = clip.info
    assert (info.width, info.height, info.pix_fmt, info.frames, info.frame_rate) == (48, 32, "yuv420p", 5, 24)
    frames = list(clip)
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert frames[2].time == pytest.approx(2 / 24)
    for frame, plane in zip(frames, planes, strict=True):
        assert np.array_equal(frame.y, plane[:32])
        assert np.array_equal(frame.u.ravel(), plane.ravel()[48 * 32 :][: 24 * 16])
    assert len(list(clip)) == 5, "a clip is iterable again"


@pytest.mark.parametrize("cut", [1, 100, 2303])
def test_truncated_y4m_names_what_is_missing(tmp_path, cut):
    path = write_y4m(tmp_path / "a.y4m", pictures())
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(InputError, match=r"truncated.*frame 4 \(48x32, 2304 bytes"):
        open_clip(path)


@pytest.mark.parametrize(
    ("pix_fmt", "size", "depth", "chroma"),
    [
        ("yuv420p", (37, 23), 8, "420"),
        ("yuv422p", (37, 23), 8, "422"),
        ("yuv444p", (37, 23), 8, "444"),
        ("gray", (37, 23), 8, "400"),
        ("yuv420p10le", (37, 23), 10, "420"),
        ("yuv422p12le", (38, 22), 12, "422"),
        ("nv12", (38, 22), 8, "420"),
    ],
)
def test_raw_video_of_every_layout_round_trips(tmp_path, pix_fmt, size, depth, chroma):
    width, height = size
    layout = av.VideoFormat(pix_fmt, width, height)
    samples = sum(part.width * part.height for part in layout.components)
    rng = np.random.default_rng(1)
    values = rng.integers(0, 1 << depth, 3 * samples, np.uint16).astype(np.uint8 if depth == 8 else "<u2")
    path = tmp_path / "a.yuv"
    path.write_bytes(values.tobytes())
    clip = open_clip(path, size, pix_fmt, "30000/1001")
    assert (clip.info.bit_depth, clip.info.chroma, clip.info.frames) == (depth, chroma, 3)
    assert clip.info.frame_rate == Fraction(30000, 1001)
    frames = list(clip)
    assert np.array_equal(frames[1].y.ravel(), values[samples:][: width * height])
    copy = frames[1].picture()
    assert copy.format.name == clip.info.pix_fmt
    if pix_fmt != "nv12":
        planes = [plane for plane in (frames[1].y, frames[1].u, frames[1].v) if plane is not None]
        assert np.array_equal(np.concatenate([plane.ravel() for plane in planes]), values[samples : 2 * samples])
        for plane, packed in zip(planes, copy.planes, strict=True):
            rows = np.frombuffer(packed, plane.dtype).reshape(packed.height, -1)[:, : packed.width]
            assert np.array_equal(rows, plane)


def test_raw_video_must_say_what_it_is_and_hold_whole_frames(tmp_path):
    path = tmp_path / "a.yuv"
    path.write_bytes(bytes(48 * 32 * 3 // 2 * 2 + 7))
    with pytest.raises(InputError, match="give its size and pixel format"):
        open_clip(path)
    with pytest.raises(InputError, match=r"2 frames of 48x32 yuv420p .* and 7 bytes over"):
        open_clip(path, (48, 32), "yuv420p")
    with pytest.raises(InputError, match="unknown pixel format 'yuv999'"):
        open_clip(path, (48, 32), "yuv999")


def test_container_states_rate_count_and_colour(tmp_path):
    info = open_clip(write_video(tmp_path / "a.mp4", colorspace=1, color_range=1)).info
    assert (info.frames, info.frame_rate, info.matrix, info.range) == (6, 30, "bt709", "tv")
    assert (info.variable_rate, info.audio, info.subtitles) == (False, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("kept", [0.5, 0.97])
@pytest.mark.parametrize("name", ["a.mp4", "fast.mp4", "a.mkv", "a.avi"])
def test_truncated_container_is_an_error_not_a_shorter_clip(tmp_path, name, kept):
    path = write_video(tmp_path / name, 60, options={"movflags": "faststart"} if name == "fast.mp4" else {})
    assert len(list(open_clip(path))) == 60
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match=rf"{name} is (truncated|not a video that FFmpeg can open)"):
        list(open_clip(path))


def test_folder_of_pictures_is_a_clip_in_name_order(tmp_path):
    for name, grey in (("b.png", 200), ("a.jpg", 20)):
        Image.fromarray(np.full((24, 30, 3), grey, np.uint8)).save(tmp_path / name)
    clip = open_clip(tmp_path, fps=24)
    assert (clip.info.frames, clip.info.frame_rate, clip.info.matrix, clip.info.range) == (2, 24, "bt709", "tv")
    dark, light = list(clip)
    assert int(dark.y[0, 0]) == round(16 + 219 * 20 / 255)
    assert int(light.y[0, 0]) == round(16 + 219 * 200 / 255)
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "c.png")
    with pytest.raises(InputError, match=r"c\.png is 30x20, the first is 30x24"):
        list(clip)


@pytest.mark.parametrize("prefix", ["", "frame_"])
def test_pictures_numbered_in_unequal_width_are_refused_as_their_order_would_be_wrong(tmp_path, prefix):
    for number in (1, 2, 9):
        Image.fromarray(np.full((16, 16, 3), number, np.uint8)).save(tmp_path / f"{prefix}{number}.png")
    assert open_clip(tmp_path).info.frames == 3
    Image.fromarray(np.full((16, 16, 3), 10, np.uint8)).save(tmp_path / f"{prefix}10.png")
    with pytest.raises(InputError, match=rf"{prefix}10\.png comes before {prefix}2\.png"):
        open_clip(tmp_path)


def test_hidden_files_of_a_folder_are_no_pictures(tmp_path):
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "0.png")
    (tmp_path / "._0.png").write_bytes(b"what some systems keep beside each file")
    assert len(list(open_clip(tmp_path))) == 1


def test_colours_of_a_folder_are_bt709_limited(tmp_path):
    Image.fromarray(np.full((16, 16, 3), (255, 0, 0), np.uint8)).save(tmp_path / "red.png")
    (frame,) = open_clip(tmp_path)
    assert (int(frame.y[8, 8]), int(frame.u[4, 4]), int(frame.v[4, 4])) == pytest.approx((63, 102, 240), abs=1)


def not_a_clip(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "words.mp4").write_text("no video at all\n" * 50)
    (tmp_path / "words.txt").write_text("no video at all\n" * 50)
    (tmp_path / "broken.y4m").write_bytes(b"RIFF....")
    (tmp_path / "folder").mkdir()
    return {
        "empty.mp4": "is empty: 0 bytes",
        "words.mp4": "(not a video|no video stream)",
        "words.txt": "(not a video|no video stream)",
        "broken.y4m": "begins with YUV4MPEG2",
        "folder": "a folder without pictures",
        "absent.mp4": "no such file or folder",
    }


def test_what_is_no_clip_is_refused_in_one_line(tmp_path):
    for name, words in not_a_clip(tmp_path).items():
        with pytest.raises(InputError, match=words) as caught:
            open_clip(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_options_of_raw_video_are_refused_elsewhere(tmp_path):
    path = write_y4m(tmp_path / "a.y4m", pictures(1))
    with pytest.raises(InputError, match="size and fps given for a file that states its own"):
        open_clip(path, size=(48, 32), fps=25)
    assert isinstance(open_clip(path), Clip)


@pytest.mark.slow
def test_frames_are_freed_as_they_go(tmp_path: Path) -> None:
    write_clips(tmp_path / "clips", ClipOptions(count=1, size=(64, 48), frames=12))
    (path,) = (tmp_path / "clips").rglob("*.y4m")
    gc.collect()
    gc.disable()
    try:
        for frame in open_clip(path):
            del frame
            alive = sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects())
            assert alive <= 3, "frames wait for the garbage collector: memory grows with the clip"
    finally:
        gc.enable()
