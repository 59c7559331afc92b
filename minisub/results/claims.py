"""Claims: statements with a threshold, registered before the run that judges them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from minisub.common.files import Json
from minisub.results import statistics
from minisub.results.result import Result

HELD, NOT_HELD, UNDECIDED = "held", "not held", "undecided"
CRITERIA = ("mean", "interval", "every seed")
Values = Callable[[Result], Sequence[float]]


def arm_values(arm: str, measure: str = "transfer") -> Values:
    """Return a function that takes one arm's values out of a result, one a seed.

    Args:
        arm: The arm's name.
        measure: A key of the rows.
    """
    return lambda result: result.values(arm, measure)


def difference(a: Values, b: Values) -> Values:
    """Return a function that gives a - b for each seed.

    Args:
        a: Gives one value per seed.
        b: Gives as many.
    """
    return lambda result: [x - y for x, y in zip(a(result), b(result), strict=True)]


def accuracy_less(arm: str, than: str) -> Values:
    """Return a function that gives an arm's task accuracy less another's, for each seed.

    Args:
        arm: The arm's name.
        than: The other arm's name.
    """
    return difference(arm_values(arm, "task_accuracy"), arm_values(than, "task_accuracy"))


def at_best_of_others(arms: Sequence[str]) -> Values:
    """Return a function that gives each seed's transfer in the arm that is best on the other seeds.

    The arms differ in a setting, such as the learning rate. A seed takes no part in the choice of
    the setting at which it is measured.

    Args:
        arms: The arms' names.
    """

    def values(result: Result) -> list[float]:
        every = np.array([result.values(arm) for arm in arms], dtype=float)
        if every.shape[1] < 2 or np.isnan(every).any(1).all():  # no other seed says which is best
            return [float("nan")] * every.shape[1]
        found = []
        for seed in range(every.shape[1]):
            others = np.delete(every, seed, 1).mean(1)
            found.append(float(every[int(np.nanargmax(others)), seed]))
        return found

    return values


@dataclass(frozen=True)
class Claim:
    """A statement with its threshold, registered before the run that judges it.

    `criterion` says what has to lie between `low` and `high`:

    - "mean": the mean over seeds. If the mean is outside, the claim is undecided while the 95 %
      interval still reaches the threshold, and else not held.
    - "interval": the whole 95 % interval, without the limits themselves, so that exact zeros are
      not above 0. If all of the interval is outside, the claim is not held; else it is undecided.
    - "every seed": each single value.

    A claim is undecided if there is only one seed, or if a value is not known. A claim about a
    share is also undecided if the interval of its `baseline` is not above 0, because a share of
    what may be nothing has no meaning.

    Attributes:
        text: The statement.
        values: Gives one value per seed.
        criterion: What is compared with the threshold.
        low: The least value allowed.
        high: The largest value allowed.
        baseline: What 100 % is, one value per seed: the claim is then about a ratio of means.
    """

    text: str
    values: Values
    criterion: str = "mean"
    low: float = -math.inf
    high: float = math.inf
    baseline: Values | None = None

    def __post_init__(self) -> None:
        if self.criterion not in CRITERIA:
            allowed = ", ".join(map(repr, CRITERIA))
            raise ValueError(f"criterion is {self.criterion!r}, allowed: {allowed}")
        if self.baseline is not None and self.criterion == "every seed":
            raise ValueError(f"the claim {self.text!r} is about a share, which one seed has not")
        if math.isinf(self.low) and math.isinf(self.high):
            raise ValueError(f"the claim {self.text!r} has no threshold")

    @property
    def rule(self) -> str:
        """Its threshold in words: "mean ≥ 0.8" and the like."""
        more, less = "><" if self.criterion == "interval" else "≥≤"
        if math.isinf(self.high):
            return f"{self.criterion} {more} {self.low:g}"
        if math.isinf(self.low):
            return f"{self.criterion} {less} {self.high:g}"
        if self.criterion == "interval":
            return f"interval between {self.low:g} and {self.high:g}"
        return f"{self.criterion} in [{self.low:g}, {self.high:g}]"

    def _fits(self, value: float) -> bool:
        return self.low <= value <= self.high

    def estimate(self, result: Result) -> tuple[float, float, float]:
        """Return what the claim is about: its value and 95 % interval."""
        whole = None if self.baseline is None else self.baseline(result)
        return statistics.estimate(self.values(result), whole)

    def verdict(self, result: Result) -> str:
        """Return HELD, NOT_HELD or UNDECIDED."""
        if self.baseline and not statistics.mean_interval(self.baseline(result))[0] > 0:
            return UNDECIDED
        value, low, high = self.estimate(result)
        if math.isnan(low):
            return UNDECIDED
        if self.criterion == "every seed":
            return HELD if all(map(self._fits, self.values(result))) else NOT_HELD
        if self.criterion == "interval" and self.low < low and high < self.high:
            return HELD
        if self.criterion == "mean" and self._fits(value):
            return HELD
        return NOT_HELD if high < self.low or low > self.high else UNDECIDED

    def judge(self, result: Result) -> Json:
        """Return the claim with its value, interval and verdict, and what the verdict rests on.

        For the criterion "every seed" also the `lowest` and the `highest` value, which decide.
        """
        value, low, high = self.estimate(result)
        verdict, values = self.verdict(result), self.values(result)
        ends = {}
        if self.criterion == "every seed":  # by numpy, which keeps what is not known
            ends = {"lowest": float(np.min(values)), "highest": float(np.max(values))}
        return {
            "claim": self.text,
            "value": value,
            "low": low,
            "high": high,
            "threshold": self.low if math.isfinite(self.low) else self.high,
            "rule": self.rule,
            **ends,
            "n": len(values),
            "verdict": verdict,
            "rests_on": self._rests_on(result, verdict),
        }

    def _rests_on(self, result: Result, verdict: str) -> list[str] | None:
        """Return the seeds and biases without any one of which the verdict would be another.

        None where none is left out: of fewer than three seeds, as one alone decides nothing, and
        where nothing is decided anyway.
        """
        if verdict == UNDECIDED or len(result.seeds) < 3:
            return None
        left_out = [(f"seed {s}", result.without(seed=s)) for s in result.seeds]
        if len(result.biases) > 1:
            left_out += [(bias, result.without(bias=bias)) for bias in result.biases]
        return [what for what, rest in left_out if self.verdict(rest) != verdict]


def transfers(arm: str) -> Claim:
    """Return a claim that an arm's students take over the bias: more than nothing.

    Args:
        arm: The arm's name.
    """
    return Claim(f"`{arm}` transfers, nats", arm_values(arm), "interval", low=0.0)


def no_transfer(arm: str, within: float = 0.1) -> Claim:
    """Return a claim that an arm's students surely take over next to nothing, in either direction.

    Args:
        arm: The arm's name.
        within: The most that the interval may reach, in nats.
    """
    text = f"`{arm}`: no transfer, nats"
    return Claim(text, arm_values(arm), "interval", low=-within, high=within)


def retains(arm: str, low: float = -math.inf, high: float = math.inf) -> Claim:
    """Return a claim on how much of its baseline's transfer an arm retains (a ratio of means).

    Args:
        arm: The arm's name.
        low: The least share, 0 to 1 and above.
        high: The largest share.
    """

    def baseline(result: Result) -> list[float]:
        return result.baseline(arm)

    return Claim(f"`{arm}` retains", arm_values(arm), low=low, high=high, baseline=baseline)


def accuracy_kept(arm: str, within: float = 0.03) -> Claim:
    """Return a claim that an arm's students do the number task about as well as their control.

    Args:
        arm: The arm's name.
        within: By how much the mean accuracies may differ, as a share of the numbers.
    """
    own, control = arm_values(arm, "task_accuracy"), arm_values(arm, "control_task_accuracy")
    text = f"`{arm}`: task accuracy less the control's"
    return Claim(text, difference(own, control), low=-within, high=within)


def probe_values(name: str, **where: object) -> Callable[[Result], list[float]]:
    """Return a function that takes a measurement of the probes out of a result, one a seed.

    Args:
        name: A key of the probes' rows; the mean over the rows that fit.
        **where: Keys and values that rows have to have.
    """

    def values(result: Result) -> list[float]:
        out = []
        for seed in result.seeds:
            fits = [
                row[name]
                for row in result.probes
                if row["seed"] == seed and all(row.get(k) == v for k, v in where.items())
            ]
            out.append(sum(fits) / len(fits) if fits else float("nan"))
        return out

    return values
