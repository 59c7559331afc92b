"""Results of a study: rows, summaries and registered claims. Reading one needs no torch."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from minisub import stats
from minisub.store import Json, MinisubError, read_json, write

HELD, NOT_HELD, UNDECIDED = "held", "not held", "undecided"


@dataclass(frozen=True)
class Result:
    """What a study found. `rows`: one for each seed and arm, averaged over the seed's biases."""

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
        """Names of the arms, in order."""
        return list(dict.fromkeys(row["arm"] for row in self.rows))

    @property
    def seeds(self) -> list[int]:
        """The seeds, sorted."""
        return sorted({row["seed"] for row in self.rows})

    @property
    def biases(self) -> list[str]:
        """Of whose teachers there were students in any seed."""
        return sorted({bias for row in self.rows for bias in row["biases"]})

    def without(self, seed: int | None = None, bias: str | None = None) -> "Result":
        """The same result with one seed, or the students of one bias, left out.

        Without a bias, `transfer` and `retained` are those of the others; what is measured over
        all biases at once stays as it was. Seeds with no other bias are left out.
        """
        parts: dict[str, Any] = {
            name: [row for row in getattr(self, name) if row["seed"] != seed]
            for name in ("rows", "teachers", "lists", "probes")
        }
        if bias is not None:
            rows = []
            for row in parts["rows"]:
                kept = [i for i, name in enumerate(row["biases"]) if name != bias]
                if kept:
                    each = {n: [row[n][i] for i in kept] for n in ("biases", "by_bias", "shifts")}
                    rows.append({**row, **each, "transfer": float(np.mean(each["by_bias"]))})
            parts["rows"] = retained(rows)
        return replace(self, **parts)

    def values(self, arm: str, measure: str = "transfer") -> list[float]:
        """One value a seed, in the order of the seeds."""
        rows = {r["seed"]: r[measure] for r in self.rows if r["arm"] == arm}
        if not rows:
            raise KeyError(f"no arm {arm!r}; there are {', '.join(self.arms)}")
        return [math.nan if rows[s] is None else float(rows[s]) for s in sorted(rows)]

    def estimate(self, arm: str, measure: str = "transfer") -> tuple[float, float, float]:
        """Mean over seeds and its 95 % interval; of what is retained, a ratio of two means."""
        whole = self._whole(arm) if measure == "retained" else None
        if whole is None:
            return stats.estimate(self.values(arm, measure))
        return stats.estimate(self.values(arm), whole)

    def _whole(self, arm: str) -> list[float] | None:
        """Transfer of the arm that an arm is part of; None where no seed has one."""
        of = next((row["of"] for row in self.rows if row["arm"] == arm), None)
        return self.values(of) if of in self.arms else None

    def compare(self, arm: str, other: str = "all") -> tuple[float, stats.Interval, float]:
        """Difference in transfer, paired over seeds: mean, interval and p-value."""
        return stats.paired(self.values(arm), self.values(other))

    def summary(self) -> list[Json]:
        """Means over seeds with intervals, an entry an arm."""
        out = []
        for arm in self.arms:
            transfer, low, high = self.estimate(arm)
            kept, kept_low, kept_high = self.estimate(arm, "retained")
            entry = {
                "arm": arm,
                "transfer": transfer,
                "low": low,
                "high": high,
                "retained": kept,
                "retained_low": kept_low,
                "retained_high": kept_high,
                "n": len(self.values(arm)),
            }
            for measure in ("off_target", "hit_rate", "control_hit_rate", "distance"):
                entry[measure] = float(np.mean(self.values(arm, measure)))
            entry["task_accuracy"] = float(np.mean(self.values(arm, "task_accuracy")))
            out.append(entry)
        return out

    def as_json(self) -> str:
        """The file's content, with a summary of each arm."""
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
        """As a file; `read` reads it."""
        write(path, self.as_json().encode())


def retained(rows: Sequence[Json]) -> list[Json]:
    """The rows of all seeds, each with what it `retained` of the arm that it is part of.

    That is a ratio of means over the seeds, so no row can explode because its own whole is small
    (see `stats.ratio_values`). None where there is no such arm, or nothing to retain.
    """
    transfer = {(row["seed"], row["arm"]): row["transfer"] for row in rows}
    found: dict[tuple[Any, Any], float] = {}
    for arm, of in {(row["arm"], row["of"]): None for row in rows}:
        seeds = [s for s, name in transfer if name == arm and (s, of) in transfer]
        parts, wholes = ([transfer[s, name] for s in seeds] for name in (arm, of))
        if seeds:
            kept = stats.ratio_values(parts, wholes)
            found |= {(s, arm): v for s, v in zip(seeds, kept, strict=True) if math.isfinite(v)}
    return [{**row, "retained": found.get((row["seed"], row["arm"]))} for row in rows]


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
    "interval": the whole 95 % interval, limits excluded: exact zeros are not above 0. It is not
    held when all of it lies outside.
    "every seed": each single value.
    Of one seed, or where a value is not known, nothing is decided; nor is a claim about a share
    of a `whole` whose interval is not above 0, as a share of what may be nothing says nothing.
    """

    text: str
    values: Values
    bar: str = "mean"
    low: float = -math.inf
    high: float = math.inf
    whole: Values | None = None  # given, the claim is about a ratio of means, values to whole

    def __post_init__(self) -> None:
        if self.bar not in ("mean", "interval", "every seed"):
            raise ValueError(f"bar is {self.bar!r}, allowed: 'mean', 'interval', 'every seed'")
        if self.whole is not None and self.bar == "every seed":
            raise ValueError(f"the claim {self.text!r} is about a share, which one seed has not")
        if math.isinf(self.low) and math.isinf(self.high):
            raise ValueError(f"the claim {self.text!r} has no threshold")

    @property
    def rule(self) -> str:
        """Its threshold in words: "mean ≥ 0.8" and the like."""
        more, less = "><" if self.bar == "interval" else "≥≤"
        if math.isinf(self.high):
            return f"{self.bar} {more} {self.low:g}"
        if math.isinf(self.low):
            return f"{self.bar} {less} {self.high:g}"
        if self.bar == "interval":
            return f"interval between {self.low:g} and {self.high:g}"
        return f"{self.bar} in [{self.low:g}, {self.high:g}]"

    def _fits(self, value: float) -> bool:
        return self.low <= value <= self.high

    def estimate(self, result: Result) -> tuple[float, float, float]:
        """What the claim is about: its value and 95 % interval."""
        whole = None if self.whole is None else self.whole(result)
        return stats.estimate(self.values(result), whole)

    def verdict(self, result: Result) -> str:
        """HELD, NOT_HELD or UNDECIDED."""
        if self.whole is not None and not stats.interval(self.whole(result))[0] > 0:
            return UNDECIDED
        value, low, high = self.estimate(result)
        if math.isnan(low):
            return UNDECIDED
        if self.bar == "every seed":
            return HELD if all(map(self._fits, self.values(result))) else NOT_HELD
        if self.bar == "interval" and self.low < low and high < self.high:
            return HELD
        if self.bar == "mean" and self._fits(value):
            return HELD
        return NOT_HELD if high < self.low or low > self.high else UNDECIDED

    def judge(self, result: Result) -> Json:
        """The claim with its value, interval and verdict, and what the verdict rests on."""
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
        """The seeds and biases without any one of which the verdict would be another.

        None where none is left out: of fewer than three seeds, as one alone decides nothing, and
        where nothing is decided anyway.
        """
        if verdict == UNDECIDED or len(result.seeds) < 3:
            return None
        left_out = [(f"seed {s}", result.without(seed=s)) for s in result.seeds]
        if len(result.biases) > 1:
            left_out += [(bias, result.without(bias=bias)) for bias in result.biases]
        return [what for what, rest in left_out if self.verdict(rest) != verdict]
