"""Intervals and tests over seeds. A seed is one observation; arms of a seed are paired."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

Interval = tuple[float, float]
LEVEL = 0.95
NOWHERE: Interval = (float("nan"), float("nan"))


def interval(values: Sequence[float]) -> Interval:
    """Student's t interval of the mean. NaN for fewer than two values.

    Identical values give a degenerate interval at that value. A bootstrap is not used: it
    covers too little with the eight seeds of a report, and gives NaN on identical values.
    """
    x = np.asarray(values, dtype=float)
    if len(x) < 2 or not np.isfinite(x).all():
        return NOWHERE
    if np.ptp(x) == 0:
        return float(x[0]), float(x[0])
    found = stats.ttest_1samp(x, 0.0).confidence_interval(LEVEL)
    return float(found.low), float(found.high)


def paired(a: Sequence[float], b: Sequence[float]) -> tuple[float, Interval, float]:
    """Mean of a - b over seeds, its interval, and the p-value of a paired t test (two-sided)."""
    if len(a) != len(b):
        raise ValueError(f"{len(a)} and {len(b)} seeds cannot be paired")
    difference = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    mean, bounds = float(difference.mean()), interval(difference.tolist())
    if len(difference) < 2:
        return mean, bounds, float("nan")
    if np.ptp(difference) == 0:
        return mean, bounds, 1.0 if mean == 0 else 0.0
    return mean, bounds, float(stats.ttest_rel(a, b).pvalue)


def jackknife(statistic: Callable[[Sequence[int]], float], n: int) -> list[float]:
    """n values whose mean is a statistic of n observations, and whose t interval is its own.

    They are the jackknife's pseudo-values (Tukey, 1958), moved to the statistic itself: its bias
    correction can leave the range of a rank correlation. `statistic` takes the places of the
    observations to use.
    """
    whole = statistic(range(n))
    if n < 2:
        return [whole]
    left_out = [statistic([i for i in range(n) if i != j]) for j in range(n)]
    middle = sum(left_out) / n
    return [whole + (n - 1) * (middle - value) for value in left_out]


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's; NaN where all of one are equal."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(stats.spearmanr(x, y).statistic)
