"""Results of a study: rows, summaries and registered claims. Reading one needs no torch."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from minisub import stats
from minisub.store import Json, MinisubError, read_json, write

HELD, NOT_HELD, UNDECIDED = "held", "not held", "undecided"


@dataclass(frozen=True)
class Result:
    """What a study found. `rows`: one for each seed and arm, averaged over the eight biases."""

    finding: str
    config: Json
    provenance: Json
    rows: list[Json]
    teachers: list[Json] = field(default_factory=list)  # one for each seed and bias
    lists: list[Json] = field(default_factory=list)  # one for each seed and decoding
    claims: list[Json] = field(default_factory=list)
    probes: list[Json] = field(default_factory=list)  # further measurements, each with its seed

    @property
    def arms(self) -> list[str]:
        return list(dict.fromkeys(row["arm"] for row in self.rows))

    @property
    def seeds(self) -> list[int]:
        return sorted({row["seed"] for row in self.rows})

    def values(self, arm: str, measure: str = "transfer") -> list[float]:
        """One value a seed, in the order of the seeds."""
        rows = {r["seed"]: r[measure] for r in self.rows if r["arm"] == arm}
        if not rows:
            raise KeyError(f"no arm {arm!r}; there are {', '.join(self.arms)}")
        return [math.nan if rows[s] is None else float(rows[s]) for s in sorted(rows)]

    def compare(self, arm: str, other: str = "all") -> tuple[float, stats.Interval, float]:
        """Difference in transfer, paired over seeds: mean, interval and p-value."""
        return stats.paired(self.values(arm), self.values(other))

    def summary(self) -> list[Json]:
        """Means over seeds with intervals, an entry an arm."""
        out = []
        for arm in self.arms:
            transfer, retained = self.values(arm), self.values(arm, "retained")
            low, high = stats.interval(transfer)
            retained_low, retained_high = stats.interval(retained)
            entry = {
                "arm": arm,
                "transfer": float(np.mean(transfer)),
                "low": low,
                "high": high,
                "retained": float(np.mean(retained)),
                "retained_low": retained_low,
                "retained_high": retained_high,
                "n": len(transfer),
            }
            for measure in ("off_target", "hit_rate", "control_hit_rate", "distance"):
                entry[measure] = float(np.mean(self.values(arm, measure)))
            entry["task_accuracy"] = float(np.mean(self.values(arm, "task_accuracy")))
            out.append(entry)
        return out

    def as_json(self) -> str:
        content = {
            "finding": self.finding,
            "config": self.config,
            "provenance": self.provenance,
            "rows": self.rows,
            "summary": self.summary(),
            "claims": self.claims,
            "teachers": self.teachers,
            "lists": self.lists,
            "probes": self.probes,
        }
        return json.dumps(_finite(content), indent=1, allow_nan=False) + "\n"

    def write(self, path: Path) -> None:
        write(path, self.as_json().encode())


def read(path: Path) -> Result:
    """A result that was written; MinisubError for a file that is none."""
    content = read_json(path)
    names = ("finding", "config", "provenance", "rows", "teachers", "lists", "claims", "probes")
    missing = [n for n in names if n not in content]
    if missing:
        raise MinisubError(f"{path} is no result of minisub: it has no {', '.join(missing)}")
    return Result(**{n: content[n] for n in names})


def _finite(content: object) -> object:
    """NaN becomes null, and numbers keep six decimals."""
    if isinstance(content, dict):
        return {k: _finite(v) for k, v in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(v) for v in content]
    if isinstance(content, float):
        return round(content, 6) if math.isfinite(content) else None
    return content


Values = Callable[[Result], Sequence[float]]


def of(arm: str, measure: str = "transfer", scale: float = 1.0) -> Values:
    """The values of one arm, one a seed."""
    return lambda result: [v * scale for v in result.values(arm, measure)]


@dataclass(frozen=True)
class Claim:
    """A statement with its threshold, registered before the run that judges it.

    `bar` says what has to lie between `low` and `high`:
    "mean": the mean over seeds. Missed, it is still undecided while the interval reaches it.
    "interval": the whole 95 % interval. It is not held when all of it lies outside.
    "every seed": each single value.
    """

    text: str
    values: Values
    bar: str = "mean"
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if self.bar not in ("mean", "interval", "every seed"):
            raise ValueError(f"bar is {self.bar!r}, allowed: 'mean', 'interval', 'every seed'")
        if math.isinf(self.low) and math.isinf(self.high):
            raise ValueError(f"the claim {self.text!r} has no threshold")

    @property
    def rule(self) -> str:
        if math.isinf(self.high):
            return f"{self.bar} ≥ {self.low:g}"
        if math.isinf(self.low):
            return f"{self.bar} ≤ {self.high:g}"
        return f"{self.bar} in [{self.low:g}, {self.high:g}]"

    def _fits(self, value: float) -> bool:
        return self.low <= value <= self.high

    def judge(self, result: Result) -> Json:
        """The claim with its value, interval and verdict."""
        values = list(self.values(result))
        mean = float(np.mean(values))
        low, high = stats.interval(values)
        if self.bar == "every seed":
            verdict = HELD if all(map(self._fits, values)) else NOT_HELD
        elif math.isnan(low):
            verdict = UNDECIDED
        elif (self.bar == "interval" and self._fits(low) and self._fits(high)) or (
            self.bar == "mean" and self._fits(mean)
        ):
            verdict = HELD
        else:
            verdict = NOT_HELD if high < self.low or low > self.high else UNDECIDED
        return {
            "claim": self.text,
            "value": mean,
            "low": low,
            "high": high,
            "threshold": self.low if math.isfinite(self.low) else self.high,
            "rule": self.rule,
            "n": len(values),
            "verdict": verdict,
        }
