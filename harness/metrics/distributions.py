"""Map and truth as distributions over pixels: KL divergence and similarity.

Source: Bylinskii et al., What do different evaluation metrics tell us about saliency models?, TPAMI 2019.
"""

from __future__ import annotations

import numpy as np

from harness.metrics.base import EPS, Means, Metric, Reading, Sample

METRICS = (
    Metric("kld_mean", higher_is_better=False, per_image="kld"),
    Metric("sim_mean", per_image="sim"),
)


def reading(sample: Sample) -> Reading:
    """`kld`: sum of `q log(eps + q / (p + eps))`; `sim`: sum of `min(p, q)`; p the map, q the truth, each summing to 1.

    NaN where the map is zero everywhere or the truth empty: there is no distribution.

    >>> found = reading(Sample.of(np.array([[0.5, 0.5]]), np.array([[True, False]])))
    >>> round(found["kld"], 6), found["sim"]
    (0.693147, 0.5)
    """
    count, total = sample.truth.count, sample.mean * sample.values.size
    if count == 0 or sample.high == 0:
        return {"kld": np.nan, "sim": np.nan}
    share, target = sample.inside / total, 1 / count  # outside the truth both sums have only zeros
    divergence = np.log(EPS + target / (share + EPS)).mean()
    return {"kld": float(divergence), "sim": float(np.minimum(share, target).sum())}


def headline(means: Means) -> dict[str, np.ndarray]:
    """Means over the images where defined; KL is lower-is-better and unbounded."""
    return {"kld_mean": means["kld"], "sim_mean": means["sim"]}
