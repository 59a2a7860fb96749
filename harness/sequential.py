"""Tests at several looks at growing data, which together err no more often than one: group-sequential tests.

Each look spends a part of the error, by a function that is fixed beforehand; what a look takes for significant follows.
Sources: Lan and DeMets, Biometrika 70, 1983; Jennison and Turnbull, Group Sequential Methods, 1999.
"""

from __future__ import annotations

import functools

import numpy as np

SPENDING = ("obrien-fleming", "pocock")  # hardly anything early, or about as much at each look
_NODES, _FAR = 300, 9.0  # of the integrals: points, and standard deviations beyond which nothing lies
_LEAST = 1e-15  # of p-values: far below what any number of items or resamples tells


def spent_by(share: float, alpha: float, spending: str) -> float:
    """How much of a two-sided error `alpha` may be spent once `share` of the data is in.

    >>> round(spent_by(0.5, 0.05, "obrien-fleming"), 5), round(spent_by(1.0, 0.05, "pocock"), 5)
    (0.00305, 0.05)
    """
    from scipy import stats

    if spending == "pocock":
        return float(alpha * np.log1p((np.e - 1) * share))
    return float(4 * stats.norm.sf(stats.norm.isf(alpha / 4) / share**0.5))


@functools.lru_cache(maxsize=4096)
def look_levels(shares: tuple[float, ...], alpha: float, spending: str) -> tuple[float, ...]:
    """What a two-sided p-value must not exceed at each look, for an error of `alpha` over all of them.

    Args:
        shares: The part of the data that is in at each look; it grows, and the last one is 1.
        alpha: Two-sided, half of it each way.
        spending: One of `SPENDING`.

    Source: the integrals over what has not crossed a bound yet are those of Armitage, McPherson and Rowe, J. R. Stat.
    Soc. A 132, 1969.

    >>> [round(level, 4) for level in look_levels((0.5, 1.0), 0.05, "obrien-fleming")]
    [0.0031, 0.049]
    """
    from scipy import optimize, stats

    at, mass, before, levels = np.zeros(1), np.ones(1), 0.0, []  # scores that have not crossed: where, and how much
    for share, step in zip(shares, np.sqrt(np.diff(shares, prepend=0.0)), strict=True):
        far, spend = _FAR * share**0.5, spent_by(share, alpha, spending) / 2 - before
        before += spend

        def surplus(bound: float, at: np.ndarray = at, mass: np.ndarray = mass, step: float = step) -> float:
            return float(mass @ stats.norm.sf((bound - at) / step)) - spend  # noqa: B023

        open_ended = surplus(far) >= 0
        bound = far if open_ended else float(optimize.brentq(surplus, -far, far, xtol=1e-12))
        levels.append(0.0 if open_ended else 2 * float(stats.norm.sf(bound / share**0.5)))
        places, weights = _quadrature()
        new = -far + (bound + far) * (places + 1) / 2
        mass, at = stats.norm.pdf((new[:, None] - at) / step) @ mass / step * weights * (bound + far) / 2, new
    return tuple(levels)


def over_looks(p_value: float, look: int, shares: tuple[float, ...], spending: str) -> float:
    """The smallest error over all looks at which a two-sided p-value at one of them, counted from 1, is significant.

    Such p-values go into Holm's method as any others do: Maurer and Bretz, Stat. Biopharm. Res. 5, 2013.

    >>> round(over_looks(look_levels((0.5, 1.0), 0.05, "pocock")[0], 1, (0.5, 1.0), "pocock"), 6)
    0.05
    """
    from scipy import optimize

    asked, most = max(p_value, _LEAST), 0.999

    def surplus(log_alpha: float) -> float:
        return look_levels(shares, float(np.exp(log_alpha)), spending)[look - 1] - asked

    if asked >= most or surplus(np.log(most)) < 0:
        return 1.0
    return float(np.exp(optimize.brentq(surplus, np.log(asked / 2), np.log(most), xtol=1e-9)))


@functools.cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    places, weights = np.polynomial.legendre.leggauss(_NODES)
    return places, weights
