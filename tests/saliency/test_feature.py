"""The extractor against logs of upstream's own binary, and against small vectors that live here."""

import json

import numpy as np
import pytest

from harness.errors import InputError
from harness.media.frames import Frame
from harness.media.open import open_clip
from harness.media.prefetch import prefetch
from harness.models.session import load_model
from harness.saliency.feature import eight_bits, extract
from tests.helpers import VECTORS
from tests.helpers.clips import synthetic
from tests.helpers.models import write_breaking
from tests.helpers.processor import AVX512


@pytest.mark.slow
@pytest.mark.parametrize("student", ["v1", "v2"])
@pytest.mark.parametrize("clip", ["blackswan", "libby"])
def test_every_sample_is_the_golden_one_at_printed_precision(shared, clip, student):
    log = json.loads((shared / f"golden/{clip}.640x360.crf34.upstream_{student}.json").read_text())
    model = load_model(shared / f"weights/upstream_saliency_student_{student}.onnx", threads=2)
    wanted = [frame["metrics"]["saliency_mean"] for frame in log["frames"]]
    frames = open_clip(shared / f"golden/{clip}.640x360.crf34.mp4")
    every = 7 if (clip, student) != ("libby", "v1") else 1  # one whole clip; samples of the others keep the suite fast
    chosen = [frame for frame in frames if frame.index % every == 0]
    found = [sample.means[0] for sample in extract(chosen, [model])]
    assert found == pytest.approx(wanted[::every], abs=5.1e-7 if AVX512 else 6e-7)
    assert not AVX512 or [round(value, 6) for value in found] == wanted[::every]


def test_the_small_vectors_hold(tmp_path):
    vectors = json.loads((VECTORS / "mobilesal.json").read_text())
    model = load_model(VECTORS / "mobilesal_tiny.onnx")
    for vector in vectors["cases"]:
        frame = synthetic(vector["width"], vector["height"], vector["chroma"], vector["seed"])
        (sample,) = extract([frame], [model])
        assert sample.maps[0].shape == (vector["height"], vector["width"])
        assert sample.means[0] == pytest.approx(vector["saliency_mean"], abs=5e-7), vector


def test_sides_off_the_multiple_of_eight_are_padded_by_their_edge_and_not_counted():
    model = load_model(VECTORS / "mobilesal_tiny.onnx")
    odd = synthetic(61, 45, "444", 3)
    padded = Frame(
        0, 0.0, *(np.pad(p, ((0, 3), (0, 3)), mode="edge") for p in (odd.y, odd.u, odd.v)), "yuv444p", 8, "444"
    )
    (small,), (large,) = extract([odd], [model]), extract([padded], [model])
    assert np.array_equal(small.maps[0], large.maps[0][:45, :61])
    assert small.means[0] == pytest.approx(large.maps[0][:45, :61].mean(dtype=np.float64), abs=1e-12)


def test_high_bit_depth_is_refused_unless_allowed():
    model = load_model(VECTORS / "mobilesal_tiny.onnx")
    deep = synthetic(48, 32, "420", 1, depth=10)
    with pytest.raises(InputError, match="10 bits"):
        next(extract([deep], [model]))
    (sample,) = extract([deep], [model], allow_highbit=True)
    assert 0 < sample.means[0] < 1
    assert eight_bits(deep).y.dtype == np.uint8
    assert eight_bits(deep).y[0, :4].tolist() == [round(int(value) / 4 + 1e-9) for value in deep.y[0, :4]]
    grey = Frame(0, 0.0, deep.y, None, None, "gray10le", 10, "400")
    with pytest.raises(InputError, match="4:0:0"):
        next(extract([grey], [model], allow_highbit=True))


@pytest.mark.parametrize(
    ("how", "says"),
    [("half", "is 8x8"), ("twice", "is 32x32"), ("nan", "NaN or infinite values"), ("beyond", "values from ")],
)
def test_a_map_that_breaks_the_contract_stops_the_run(tmp_path, how, says):
    model = load_model(write_breaking(tmp_path / "bad.onnx", how))
    with pytest.raises(InputError, match=rf"^bad: .*{says}"):
        next(extract([synthetic(16, 16, "420", 0)], [model]))


def test_ahead_keeps_order_passes_errors_and_stops_early():
    assert list(prefetch(range(5))) == [0, 1, 2, 3, 4]

    def failing():
        yield 1
        raise InputError("second")

    stream = prefetch(failing())
    assert next(stream) == 1
    with pytest.raises(InputError, match="second"):
        next(stream)
    endless = prefetch(iter(lambda: 1, 0))
    assert next(endless) == 1
    endless.close()


def test_chroma_layouts_decode_to_the_same_result_as_planes_by_hand(tmp_path):
    model = load_model(VECTORS / "mobilesal_tiny.onnx")
    for chroma in ("420", "422", "444"):
        frame = synthetic(50, 34, chroma, 2)
        path = tmp_path / f"{chroma}.yuv"
        path.write_bytes(b"".join(plane.tobytes() for plane in (frame.y, frame.u, frame.v)))
        (decoded,) = extract(open_clip(path, (50, 34), f"yuv{chroma}p"), [model])
        (by_hand,) = extract([frame], [model])
        assert decoded.means == by_hand.means
