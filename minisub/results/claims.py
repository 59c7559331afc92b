"""Claims: statements with a threshold, registered before the run that judges them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from minisub.common.files import Json
from minisub.results import statistics
from minisub.results.result import Result

HELD, NOT_HELD, UNDECIDED = "held", "not held", "undecided"
CRITERIA = ("mean", "interval", "every seed")
Values = Callable[[Result], Sequence[float]]


def arm_values(arm: str, measure: str = "transfer", scale: float = 1.0) -> Values:
    """Return a function that takes one arm's values out of a result, one a seed.

    Args:
        arm: The arm's name.
        measure: A key of the rows.
        scale: Multiplies every value.
    """
    return lambda result: [v * scale for v in result.values(arm, measure)]


def difference(a: Values, b: Values) -> Values:
    """Return a function that gives a - b for each seed.

    Args:
        a: Gives one value per seed.
        b: Gives as many.
    """
    return lambda result: [x - y for x, y in zip(a(result), b(result), strict=True)]


@dataclass(frozen=True)
class Claim:
    """A statement with its threshold, registered before the run that judges it.

    `criterion` says what has to lie between `low` and `high`:
    "mean": the mean over seeds. Missed, it is still undecided while the interval reaches it.
    "interval": the whole 95 % interval, limits excluded: exact zeros are not above 0. It is not
    held when all of it lies outside.
    "every seed": each single value.
    Of one seed, or where a value is not known, nothing is decided; nor is a claim about a share
    of a `baseline` whose interval is not above 0, as a share of what may be nothing says nothing.
    """

    text: str
    values: Values
    criterion: str = "mean"
    low: float = -math.inf
    high: float = math.inf
    baseline: Values | None = None  # given, the claim is about a ratio of means

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
        """Return the claim with its value, interval and verdict, and what the verdict rests on."""
        value, low, high = self.estimate(result)
        verdict = self.verdict(result)
        return {
            "claim": self.text,
            "value": value,
            "low": low,
            "high": high,
            "threshold": self.low if math.isfinite(self.low) else self.high,
            "rule": self.rule,
            "n": len(self.values(result)),
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


def retains(
    arm: str, low: float = float("-inf"), high: float = float("inf"), whose: str = ""
) -> Claim:
    """Return a claim on how much of its baseline's transfer an arm retains (a ratio of means).

    Args:
        arm: The arm's name.
        low: The least share, 0 to 1 and above.
        high: The largest share.
        whose: Words before the arm's name.
    """

    def baseline(result: Result) -> list[float]:
        return result.values(next(row["of"] for row in result.rows if row["arm"] == arm))

    text = f"{whose}`{arm}` retains"
    return Claim(text, arm_values(arm), low=low, high=high, baseline=baseline)


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
