"""Every measure against PySODMetrics' recorded answers, and the algebra of sums."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness import metrics
from harness.errors import InputError
from harness.metrics import Sample, Sums, Truth
from tests.helpers import VECTORS
from tests.oracle.readings import readings

MEASURES = VECTORS / "measures.npz"
with np.load(MEASURES) as archive:
    RECORDED = {name: archive[name] for name in archive.files}
RUNS = sorted({tuple(name.split("|")[:2]) for name in RECORDED if name.count("|") == 2})
CURVE_STEP = 5


@pytest.mark.parametrize(("case", "rescale"), RUNS)
def test_agrees_with_pysodmetrics(case: str, rescale: str) -> None:
    sample = Sample.of(RECORDED[f"{case}|map"], RECORDED[f"{case}|truth"], minmax=rescale == "minmax")
    found = metrics.reading(sample)
    keys = [name.split("|")[2] for name in RECORDED if name.startswith(f"{case}|{rescale}|")]
    assert len(keys) == 15
    for key in keys:
        ours, theirs = np.asarray(found[key]), RECORDED[f"{case}|{rescale}|{key}"]
        if case == "one-pixel-image" and key.startswith("e_"):  # PySODMetrics divides by epsilon there
            assert ours.max() <= 1
            continue
        if np.isnan(theirs).any():  # PySODMetrics averages an empty quadrant here; an empty quadrant has no weight
            assert key == "s_measure"
            assert 0 <= ours <= 1
            continue
        assert np.abs((ours[::CURVE_STEP] if ours.ndim else ours) - theirs).max() < 1e-6, key


def test_only_objects_centred_on_the_last_row_or_column_lack_an_oracle() -> None:
    lacking = {name.split("|")[0] for name, value in RECORDED.items() if "s_measure" in name and np.isnan(value)}
    assert lacking == {"corner-object"} | ({"row-image", "column-image"} & lacking)


masks = st.integers(1, 12).flatmap(
    lambda height: st.integers(1, 12).flatmap(
        lambda width: st.tuples(
            st.lists(st.booleans(), min_size=height * width, max_size=height * width),
            st.lists(st.integers(0, 255), min_size=height * width, max_size=height * width),
        ).map(
            lambda both: (
                np.array(both[0]).reshape(height, width),
                np.array(both[1], np.uint8).reshape(height, width),
            )
        )
    )
)


@settings(max_examples=25, deadline=None)
@given(st.lists(masks, min_size=1, max_size=6), st.randoms())
@pytest.mark.slow
def test_shards_in_any_order_add_to_the_whole_to_the_last_bit(images: list, random) -> None:
    readings = [metrics.reading(Sample.of(saliency, truth)) for truth, saliency in images]
    whole = Sums.over(readings)
    random.shuffle(readings)
    cut = random.randint(0, len(readings))
    parts = Sums.over(readings[cut:]) + Sums.over(readings[:cut])
    assert parts.images == whole.images
    assert parts.defined == whole.defined
    assert all(np.array_equal(parts.totals[key], whole.totals[key]) for key in whole.totals)


@settings(max_examples=50, deadline=None)
@given(masks)
def test_every_number_is_in_its_range_or_undefined(image: tuple[np.ndarray, np.ndarray]) -> None:
    truth, saliency = image
    size = truth.size
    for key, value in metrics.reading(Sample.of(saliency, truth)).items():
        low = -1 if key == "plcc" else 0
        high = 40 if key == "kld" else size / max(size - 1, 1) if key.startswith("e_") else 1
        value = np.asarray(value)
        assert np.isnan(value).all() or (value.min() >= low - 1e-9 and value.max() <= high + 1e-9), key


def test_a_perfect_map_scores_perfectly() -> None:
    truth = np.zeros((128, 192), bool)
    truth[0:64, 64:128] = True
    found = metrics.headline(Sums.of(metrics.reading(Sample.of(truth.astype(np.float32), truth))).means())
    ones = ("iou_mean@0.5", "iou_block16_mean@0.5", "iou_block64_mean@0.5", "dice_mean@0.5", "maxf_mean_curve")
    ones += ("maxf_pr_averaged", "wf_mean", "s_measure_mean", "plcc_mean", "sim_mean", "iou_medium_mean@0.5")
    assert {key: round(float(found[key]), 9) for key in ones} == dict.fromkeys(ones, 1.0)
    assert abs(found["mae_mean"]) + abs(found["kld_mean"]) < 1e-9
    assert np.isnan(found["iou_small_mean@0.5"])


def test_conventions_a_and_b_differ_as_defined() -> None:
    half = np.array([[1.0, 1.0, 0.0, 0.0]])
    one, three = np.array([[1, 0, 0, 0]], bool), np.array([[1, 1, 1, 0]], bool)
    found = metrics.headline(Sums.over(metrics.reading(Sample.of(half, truth)) for truth in (one, three)).means())

    def f(precision: float, recall: float) -> float:
        return 1.3 * precision * recall / (0.3 * precision + recall)

    assert found["maxf_mean_curve"] == pytest.approx((f(0.5, 1) + f(1, 2 / 3)) / 2, abs=1e-9)
    assert found["maxf_pr_averaged"] == pytest.approx(f(0.75, 5 / 6), abs=1e-9)


def test_headline_keeps_the_axis_of_resamples() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((20, 20)) < 0.3
    means = Sums.over(metrics.reading(Sample.of(rng.random((20, 20)), truth)) for _ in range(3)).means()
    stacked = metrics.headline({key: np.stack([value, value]) for key, value in means.items()})
    single = metrics.headline(means)
    assert all(
        value.shape == (2,) and np.allclose(value, single[key], equal_nan=True) for key, value in stacked.items()
    )


def test_reliability_is_zero_for_a_map_that_keeps_its_promise() -> None:
    truth = np.arange(400).reshape(20, 20) % 4 == 0
    even = metrics.headline(Sums.of(metrics.reading(Sample.of(np.full((20, 20), 0.25), truth))).means())
    sure = metrics.headline(Sums.of(metrics.reading(Sample.of(np.full((20, 20), 0.75), truth))).means())
    assert even["ece@15"] < 0.003
    assert sure["ece@15"] == pytest.approx(0.5, abs=0.003)


@pytest.mark.parametrize(
    ("saliency", "message"),
    [
        (np.array([[0.5, np.nan]]), "NaN"),
        (np.array([[0.5, 1.5]]), "0.5 to 1.5"),
        (np.array([[0.5, 0.5, 0.5]]), "3x1"),
        (np.array([[1, 2]]), "int64"),
    ],
)
def test_a_bad_map_is_refused(saliency: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Sample.of(saliency, Truth(np.array([[True, False]])))


def test_a_number_that_changes_is_noticed() -> None:
    recorded = json.loads((VECTORS / "readings.json").read_text())
    assert readings() == pytest.approx(recorded, abs=1e-8), "if it is meant: python -m tests.oracle.readings"


@pytest.mark.parametrize("key", [key for key, found in metrics.METRICS.items() if found.higher_is_better is not None])
def test_every_number_of_a_set_is_declared_once_with_its_direction_and_column(key: str) -> None:
    readings = [metrics.reading(Sample.of(np.eye(40) * share, np.eye(40, dtype=bool))) for share in (0.3, 0.9)]
    means = Sums.over(readings).means()
    if key.startswith("drift"):
        pytest.skip("a map beside another map, not beside a truth")
    column = metrics.metric(key).per_image
    if column is not None:
        assert metrics.headline(means)[key] == pytest.approx(float(means[column]), nan_ok=True)


def test_headlines_and_declarations_are_the_same_keys() -> None:
    half = metrics.headline(Sums.of(metrics.reading(Sample.of(np.eye(2), np.eye(2, dtype=bool)))).means())
    assert {key for key in metrics.METRICS if not key.startswith("drift")} == set(half)
    with pytest.raises(InputError, match=r"allowed: iou_mean@0\.5"):
        metrics.metric("iuo")
    with pytest.raises(InputError, match="no better or worse"):
        metrics.metric("iou_best_threshold").gain(0, 1)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=4, max_side=24)), st.floats(0.05, 1))
def test_a_worse_map_never_gains(truth: np.ndarray, spoilt: float) -> None:
    assume(0 < truth.sum() < truth.size)
    perfect = truth.astype(np.float64)
    worse = (1 - spoilt) * perfect + spoilt * (1 - perfect)
    before, after = (
        metrics.headline(Sums.of(metrics.reading(Sample.of(values, truth))).means()) for values in (perfect, worse)
    )
    for key, value in after.items():
        if metrics.metric(key).higher_is_better is not None and np.isfinite([value, before[key]]).all():
            tolerance = 0.003 if key == "ece@15" else 1e-9  # of a map's 8-bit levels
            assert metrics.metric(key).gain(float(before[key]), float(value)) <= tolerance, key
