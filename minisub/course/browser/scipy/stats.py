"""Student's t distribution and the tests that need it."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


def _incomplete_beta(a: float, b: float, x: float, y: float) -> float:
    """Return the regularised incomplete beta function (Press et al., Numerical Recipes, 6.4).

    Args:
        a: Its first parameter.
        b: Its second.
        x: Between 0 and 1.
        y: What is left to 1.
    """
    if x <= 0 or y <= 0:
        return float(y <= 0)
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly
        return 1 - _incomplete_beta(b, a, y, x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(log_front + a * math.log(x) + b * math.log(y)) / a
    tiny = 1e-300
    d = 1 - (a + b) * x / (a + 1)
    c, d = 1.0, 1 / (d or tiny)
    total = d
    for m in range(1, 1000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / ((1 + term * d) or tiny)
            c = (1 + term / c) or tiny
            total *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return front * total


class t:
    """Student's t distribution."""

    @staticmethod
    def sf(x: float, df: float) -> float:
        """Return the probability of more than a value.

        Args:
            x: The value.
            df: Degrees of freedom.
        """
        whole = df + x * x
        tail = _incomplete_beta(df / 2, 0.5, df / whole, x * x / whole) / 2
        return tail if x >= 0 else 1 - tail

    @staticmethod
    def ppf(q: float, df: float) -> float:
        """Return the value that is exceeded with some probability.

        Args:
            q: One less that probability.
            df: Degrees of freedom.
        """
        tail = min(q, 1 - q)
        low, high = 0.0, 1.0
        while t.sf(high, df) > tail:
            low, high = high, 2 * high
        for _ in range(100):  # more halvings than a float has digits
            middle = (low + high) / 2
            low, high = (middle, high) if t.sf(middle, df) > tail else (low, middle)
        return -high if q < 0.5 else high


class Interval(NamedTuple):
    """The ends of an interval."""

    low: float
    high: float


@dataclass(frozen=True)
class TTest:
    """A t test of a mean against a value."""

    mean: float
    error: float
    df: int
    pvalue: float

    def confidence_interval(self, level: float) -> Interval:
        """Return the interval of the mean."""
        reach = t.ppf((1 + level) / 2, self.df) * self.error
        return Interval(self.mean - reach, self.mean + reach)


def ttest_1samp(a: ArrayLike, popmean: float) -> TTest:
    """Test whether the mean of values is another.

    Args:
        a: The values.
        popmean: The other mean.
    """
    x = np.asarray(a, dtype=float)
    mean, error, df = float(x.mean()), float(x.std(ddof=1)) / len(x) ** 0.5, len(x) - 1
    return TTest(mean, error, df, 2 * t.sf(abs(mean - popmean) / error, df))


def ttest_rel(a: ArrayLike, b: ArrayLike) -> TTest:
    """Test whether paired values have the same mean.

    Args:
        a: One value of each pair.
        b: The other.
    """
    return ttest_1samp(np.asarray(a, dtype=float) - np.asarray(b, dtype=float), 0.0)


class Correlation(NamedTuple):
    """A correlation."""

    statistic: float


def _ranks(x: np.ndarray) -> np.ndarray:
    """Return ranks; equal values share the mean of theirs."""
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[place], dtype=float)


def spearmanr(a: ArrayLike, b: ArrayLike) -> Correlation:
    """Return the correlation of ranks; NaN where all of one are equal.

    Args:
        a: Values.
        b: As many others.
    """
    x, y = _ranks(np.asarray(a)), _ranks(np.asarray(b))
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return Correlation(float("nan"))
    return Correlation(float(np.corrcoef(x, y)[0, 1]))
