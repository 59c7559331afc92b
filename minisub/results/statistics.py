"""Intervals and tests over seeds. A seed is one observation; arms of a seed are paired."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from minisub.common.files import Array

Interval = tuple[float, float]
LEVEL = 0.95
NO_INTERVAL: Interval = (float("nan"), float("nan"))


def mean_interval(values: Sequence[float]) -> Interval:
    """Return Student's t interval of the mean; NaN for fewer than two values.

    Identical values give a degenerate interval at that value. A bootstrap is not used: it
    covers too little with the eight seeds of a report, and gives NaN on identical values.
    """
    x = np.asarray(values, dtype=float)
    if len(x) < 2 or not np.isfinite(x).all():
        return NO_INTERVAL
    if np.ptp(x) == 0:
        return float(x[0]), float(x[0])
    found = stats.ttest_1samp(x, 0.0).confidence_interval(LEVEL)
    return float(found.low), float(found.high)


def ratio_of_means(parts: Sequence[float], wholes: Sequence[float]) -> tuple[float, Interval]:
    """Return the ratio of the means of paired values, with Fieller's interval (Fieller, 1954).

    A seed counts by the size of its whole, so one whose whole is near nothing weighs little. There
    is no interval (NaN) for fewer than two seeds, and where the mean of the wholes is not
    significantly different from zero, as any ratio is possible then.

    Args:
        parts: One value per seed.
        wholes: What 100 % is, one value per seed.
    """
    x, y = _pairs(parts, wholes)
    top, bottom = float(x.mean()), float(y.mean())
    if bottom == 0 or not np.isfinite(bottom):
        return float("nan"), NO_INTERVAL
    if len(x) < 2 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return top / bottom, NO_INTERVAL
    (xx, xy), (_, yy) = np.cov(x, y) / len(x)
    t2 = float(stats.t.ppf((1 + LEVEL) / 2, len(x) - 1)) ** 2
    # The ratios r for which the mean of x - r y does not differ significantly from zero lie between
    # the roots of a r^2 - 2 b r + c.
    a, b, c = bottom**2 - t2 * yy, top * bottom - t2 * xy, top**2 - t2 * xx
    if a <= 0:
        return top / bottom, NO_INTERVAL
    root = max(b * b - a * c, 0.0) ** 0.5
    return top / bottom, (float((b - root) / a), float((b + root) / a))


def estimate(
    values: Sequence[float], wholes: Sequence[float] | None = None
) -> tuple[float, float, float]:
    """Return the mean and its interval; with `wholes`, those of the ratio of the two means.

    Args:
        values: One value per seed.
        wholes: What 100 % is, one value per seed.
    """
    if wholes is None:
        return (float(np.mean(values)), *mean_interval(values))
    value, ends = ratio_of_means(values, wholes)
    return (value, *ends)


def linearised_ratios(parts: Sequence[float], wholes: Sequence[float]) -> list[float]:
    """Return one value per pair, whose mean is the ratio of the means.

    Each is the ratio and by how much its pair departs from it, in units of the mean whole
    (the linearised ratio). They cannot explode where one whole is near nothing.

    Args:
        parts: One value per seed.
        wholes: What 100 % is, one value per seed.
    """
    x, y = _pairs(parts, wholes)
    if not y.mean():
        return [float("nan")] * len(x)
    r = x.mean() / y.mean()
    return (r + (x - r * y) / y.mean()).tolist()


def _pairs(a: Sequence[float], b: Sequence[float]) -> tuple[Array, Array]:
    if len(a) != len(b):
        raise ValueError(f"{len(a)} and {len(b)} seeds cannot be paired")
    return np.asarray(a, dtype=float), np.asarray(b, dtype=float)


def paired_difference(a: Sequence[float], b: Sequence[float]) -> tuple[float, Interval, float]:
    """Return the mean of a - b over seeds, its interval, and the p-value of a paired t test.

    Args:
        a: One value per seed.
        b: The same seeds.
    """
    x, y = _pairs(a, b)
    difference = x - y
    mean, interval = float(difference.mean()), mean_interval(difference.tolist())
    if len(difference) < 2:
        return mean, interval, float("nan")
    if np.ptp(difference) == 0:
        return mean, interval, 1.0 if mean == 0 else 0.0
    return mean, interval, float(stats.ttest_rel(a, b).pvalue)


def jackknife(statistic: Callable[[Sequence[int]], float], n: int) -> list[float]:
    """Return n values whose mean is a statistic of n observations, for a t interval.

    They are the jackknife's pseudo-values (Tukey, 1958), moved to the statistic itself: its bias
    correction can leave the range of a rank correlation.

    Args:
        statistic: A function of the places of the observations to use.
        n: How many observations there are.
    """
    whole = statistic(range(n))
    if n < 2:
        return [whole]
    left_out = [statistic([i for i in range(n) if i != j]) for j in range(n)]
    middle = sum(left_out) / n
    return [whole + (n - 1) * (middle - value) for value in left_out]


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Return Spearman's rank correlation; NaN where it is not known or all of one are equal.

    Args:
        x: Values.
        y: As many others.
    """
    is_known = len(x) > 1 and np.isfinite([*x, *y]).all()
    if not is_known or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(stats.spearmanr(x, y).statistic)
