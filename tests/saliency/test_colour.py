"""The extractor's conversion bit for bit, and the true one against the standards' own matrices."""

import subprocess
import sys

import numpy as np
import pytest

from harness.errors import InputError
from harness.media.frames import Frame, pix_fmt_name
from harness.media.pictures import resized
from harness.metrics.loops import compiled
from harness.models.contract import MEAN, STD
from harness.models.session import STEPS, planes_of
from harness.saliency import colour, loops
from harness.saliency.colour import contract_planes, contract_rgb, true_rgb


def frame(y, u, v, chroma="444", depth=8, matrix="unspecified", range="unspecified"):
    dtype = np.uint8 if depth == 8 else np.uint16
    planes = [None if plane is None else np.atleast_2d(np.asarray(plane, dtype)) for plane in (y, u, v)]
    return Frame(0, 0.0, *planes, pix_fmt_name(depth, chroma), depth, chroma, matrix, range)


def slow_contract(y, u, v):
    """One pixel, one float32 operation at a time, in the order of the C code."""
    f = np.float32
    yn = (f(y) - f(16)) * (f(1) / f(219))
    un = (f(u) - f(128)) * (f(1) / f(224))
    vn = (f(v) - f(128)) * (f(1) / f(224))
    rgb = (yn + f(1.28033) * vn, yn - f(0.21482) * un - f(0.38059) * vn, yn + f(2.12798) * un)
    return [int(min(max(c, f(0)), f(1)) * f(255) + f(0.5)) for c in rgb]


def test_contract_matches_a_slow_transcription_on_any_sample():
    y, u, v = np.random.default_rng(0).integers(0, 256, (3, 1, 400))
    fast = contract_rgb(frame(y, u, v))[0]
    assert fast.tolist() == [slow_contract(*samples) for samples in zip(y[0], u[0], v[0], strict=True)]


@pytest.mark.parametrize(("chroma", "across", "down"), [("420", 2, 2), ("422", 2, 1), ("444", 1, 1)])
def test_chroma_is_repeated_to_odd_sizes(chroma, across, down):
    rng = np.random.default_rng(1)
    y = rng.integers(0, 256, (5, 7))
    u, v = rng.integers(0, 256, (2, -(-5 // down), -(-7 // across)))
    rgb = contract_rgb(frame(y, u, v, chroma))
    assert rgb.shape == (5, 7, 3)
    for row, column in ((0, 0), (4, 6), (3, 5)):
        chroma_at = (row // down, column // across)
        assert rgb[row, column].tolist() == slow_contract(y[row, column], u[chroma_at], v[chroma_at])


@pytest.mark.parametrize("chroma", ["420", "422", "444"])
@pytest.mark.parametrize("size", [(1, 1), (33, 50), (70, 17)])
def test_planes_are_the_pictures_normalised_and_padded_to_the_bit(chroma, size):
    rng, (height, width) = np.random.default_rng(2), size
    across, down = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}[chroma]
    u, v = rng.integers(0, 256, (2, -(-height // down), -(-width // across)))
    yuv = frame(rng.integers(0, 256, size), u, v, chroma)
    padded = np.pad(contract_rgb(yuv), ((0, -height % 8), (0, -width % 8), (0, 0)), mode="edge").astype(np.float32)
    f = np.float32
    wanted = ((padded * (f(1) / f(255)) - np.array(MEAN, f)) * (f(1) / np.array(STD, f))).transpose(2, 0, 1)
    again = np.full_like(wanted, np.nan)
    assert np.array_equal(contract_planes(yuv, again), wanted)
    assert np.array_equal(again, wanted)  # in the very array that was given
    assert np.array_equal(planes_of(contract_rgb(yuv)), wanted)


@pytest.mark.skipif(compiled(loops.planes) is None, reason="needs numba: pip install numba")
@pytest.mark.slow
@pytest.mark.parametrize("chroma", ["420", "422", "444"])
@pytest.mark.parametrize("size", [(1, 1), (33, 50), (512, 512)])
def test_the_compiled_conversion_equals_the_arrays_to_the_bit(chroma, size):
    rng, (height, width) = np.random.default_rng(3), size
    across, down = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}[chroma]
    y = rng.integers(0, 256, (height, width + 9), np.uint8)[:, :width]  # a decoder's lines are longer than the picture
    u, v = rng.integers(0, 256, (2, -(-height // down), -(-width // across)), np.uint8)
    wanted, found = (np.zeros((3, height + 3, width + 5), np.float32) for _ in range(2))
    colour._planes.__wrapped__(y, u, v, across, down, STEPS, wanted)
    compiled(loops.planes)(y, u, v, across, down, STEPS, found)
    assert np.array_equal(found, wanted) and found[:, :height, :width].any() and not found[:, height:].any()


def test_a_long_clip_is_converted_by_the_compiled_loop_and_a_short_one_loads_no_numba():
    program = (
        "import sys, numpy as np; from harness.media.frames import Frame; from harness.saliency import colour\n"
        "half = np.zeros((540, 960), np.uint8)\n"
        "clip = Frame(0, 0.0, np.zeros((1080, 1920), np.uint8), half, half, 'yuv420p', 8, '420')\n"
        "into = colour.contract_planes(clip).copy()\n"
        "assert 'numba' not in sys.modules\n"
        "for _ in range(50): again = colour.contract_planes(clip, np.full_like(into, 9))\n"
        "print('numba' in sys.modules, np.array_equal(into, again))"
    )
    answer = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert answer.stdout.split() == [str(compiled(loops.planes) is not None), "True"]


def test_contract_refuses_as_upstream_does():
    with pytest.raises(InputError, match="4:0:0"):
        contract_rgb(frame([1], None, None, "400"))
    with pytest.raises(InputError, match="10 bits"):
        contract_rgb(frame([1], [1], [1], depth=10))


def encode(rgb, kr, kb, full=False, depth=8):
    """RGB in [0, 1] to integer YCbCr by the standards' definition."""
    red, green, blue = rgb
    y = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - y) / (2 * (1 - kb)), (red - y) / (2 * (1 - kr))
    if full:
        top = (1 << depth) - 1
        middle = 1 << (depth - 1)
        return [round(y * top), min(top, round(cb * top) + middle), min(top, round(cr * top) + middle)]
    unit = 1 << (depth - 8)
    return [round((16 + 219 * y) * unit), round((128 + 224 * cb) * unit), round((128 + 224 * cr) * unit)]


@pytest.mark.parametrize(("matrix", "kr", "kb"), [("bt709", 0.2126, 0.0722), ("smpte170m", 0.299, 0.114)])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("depth", [8, 10])
def test_true_colour_inverts_the_streams_own_matrix(matrix, kr, kb, full, depth):
    for rgb in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0.5, 0.25, 0.75), (1, 1, 1), (0, 0, 0)):
        y, u, v = encode(rgb, kr, kb, full, depth)
        back = true_rgb(frame([y], [u], [v], depth=depth, matrix=matrix, range="pc" if full else "tv"))[0, 0]
        assert np.abs(back.astype(int) - np.round(np.array(rgb) * 255)).max() <= (2 if depth == 8 else 1)


def test_unspecified_matrix_follows_the_picture_height():
    small = frame(np.full((2, 2), 80), np.full((1, 1), 90), np.full((1, 1), 200), "420")
    tall = frame(np.full((720, 2), 80), np.full((360, 1), 90), np.full((360, 1), 200), "420")
    assert np.array_equal(true_rgb(small)[0, 0], true_rgb(frame([80], [90], [200], matrix="bt470bg"))[0, 0])
    assert np.array_equal(true_rgb(tall)[0, 0], true_rgb(frame([80], [90], [200], matrix="bt709"))[0, 0])


def test_grey_is_true_grey():
    assert true_rgb(frame([16, 235], None, None, "400")).tolist() == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("depth", [8, 10])
def test_scaling_first_gives_the_colours_of_scaling_last(depth):
    ramp = np.linspace(30, 220, 80 * 120).reshape(80, 120) * (1 << (depth - 8))
    planes = ramp, ramp[::-2, ::2], ramp[::2, ::-2]
    whole = frame(*planes, "420", depth=depth, matrix="bt709")
    small = true_rgb(whole, (32, 48))
    assert small.shape == (32, 48, 3)
    assert np.abs(small.astype(int) - resized(true_rgb(whole), (32, 48)).astype(int)).max() <= 3


def test_the_guess_of_the_matrix_heeds_the_streams_height_not_the_working_one():
    tall = frame(np.full((720, 2), 80), np.full((360, 1), 90), np.full((360, 1), 200), "420")
    assert np.array_equal(true_rgb(tall, (32, 32))[0, 0], true_rgb(tall)[0, 0])
