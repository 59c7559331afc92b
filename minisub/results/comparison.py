"""The difference between two arms."""

import math
from typing import NamedTuple

from minisub.results.tables import format_interval

FEW_SEEDS = 6  # with fewer, a test without a normal distribution (of signs) cannot reach p = .05


class Comparison(NamedTuple):
    """The difference in transfer between two arms, paired over seeds; it prints as a sentence."""

    arm: str
    other: str
    difference: float  # in nats
    low: float  # of the 95 % interval
    high: float
    p: float  # of a paired t test
    n_seeds: int

    def __str__(self) -> str:
        gap = format_interval(self.difference, self.low, self.high)
        p = "no test" if math.isnan(self.p) else f"p = {self.p:.2g}"
        seeds = f"{self.n_seeds} seed{'s' * (self.n_seeds != 1)}"
        text = f"{self.arm} less {self.other}: {gap} nats, {p}, {seeds}"
        if not math.isnan(self.p) and self.n_seeds < FEW_SEEDS:
            text += " (paired t tests on so few seeds rest on normality)"
        return text
