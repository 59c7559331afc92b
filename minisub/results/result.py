"""Results of a study: rows of numbers, one for each seed and arm, and their summary."""

import base64
import contextlib
import html
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from minisub.common.files import Array, Json, MinisubError, read_json, write_file
from minisub.results import statistics
from minisub.results.comparison import Comparison
from minisub.results.retained import add_retained
from minisub.results.rounded import rounded
from minisub.results.tables import Table, format_interval, format_number
from minisub.viz import charts, style

UNITS = {  # what a measure of the rows is, below a figure
    "transfer": "transfer: gain in log p(bias) over the control, in nats",
    "retained": "transfer retained, share of the baseline's",
    "hit_rate": "how often students answer their teacher's bias",
    "task_accuracy": "share of written numbers that are right",
}


@dataclass(frozen=True)
class Result:
    """What a study found.

    Attributes:
        finding: Its name.
        config: The configuration as plain data.
        provenance: Versions, code, device, seeds.
        rows: One for each seed and arm, averaged over the seed's biases.
        teachers: One for each seed and bias.
        lists: One for each seed and decoding.
        claims: With values and verdicts, where they were judged.
        probes: Further measurements, each with its seed.
    """

    finding: str
    config: Json
    provenance: Json
    rows: list[Json]
    teachers: list[Json] = field(default_factory=list)
    lists: list[Json] = field(default_factory=list)
    claims: list[Json] = field(default_factory=list)
    probes: list[Json] = field(default_factory=list)

    @property
    def arms(self) -> list[str]:
        """Names of the arms, in order."""
        return list(dict.fromkeys(row["arm"] for row in self.rows))

    @property
    def seeds(self) -> list[int]:
        """The seeds, sorted."""
        return sorted({row["seed"] for row in self.rows})

    @property
    def seeds_text(self) -> str:
        """How many seeds there are, as text: "8 seeds"."""
        return f"{len(self.seeds)} seeds" if len(self.seeds) != 1 else "1 seed"

    @property
    def biases(self) -> list[str]:
        """Names of the biases whose teachers had students in any seed."""
        return sorted({bias for row in self.rows for bias in row["biases"]})

    def without(self, seed: int | None = None, bias: str | None = None) -> "Result":
        """Return the same result with one seed, or the students of one bias, left out.

        What is `retained` is computed again from what is left. Without a bias, `transfer` is that
        of the other biases; all other measures are means over all biases, as before. Seeds that
        have no other bias are left out.

        Args:
            seed: A seed to leave out.
            bias: A bias to leave out.
        """
        parts: dict[str, Any] = {
            name: [row for row in getattr(self, name) if row["seed"] != seed]
            for name in ("rows", "teachers", "lists", "probes")
        }
        rows = parts["rows"]
        if bias is not None:
            rows = []
            for row in parts["rows"]:
                kept = [i for i, name in enumerate(row["biases"]) if name != bias]
                if kept:
                    each = {n: [row[n][i] for i in kept] for n in ("biases", "by_bias", "shifts")}
                    known = None not in each["by_bias"]  # not of students that diverged
                    transfer = float(np.mean(each["by_bias"])) if known else None
                    rows.append({**row, **each, "transfer": transfer})
        return replace(self, **{**parts, "rows": add_retained(rows)})

    def values(self, arm: str, measure: str = "transfer") -> list[float]:
        """Return one value per seed, in the order of the seeds.

        Args:
            arm: The arm's name.
            measure: A key of the rows.

        Returns:
            Numbers; NaN where a row has none, as of students that diverged.

        Raises:
            KeyError: There is no such arm, or no such measure.
        """
        rows = {r["seed"]: r for r in self.rows if r["arm"] == arm}
        if not rows:
            raise KeyError(f"no arm {arm!r}; there are {', '.join(self.arms)}")
        found = [rows[seed].get(measure) for seed in sorted(rows)]
        is_number = all(x is None or isinstance(x, Real) for x in found)
        if not is_number or not any(measure in row for row in rows.values()):
            raise KeyError(f"no measure {measure!r}; there are {', '.join(self._measures)}")
        return [math.nan if x is None else float(x) for x in found]

    @property
    def _measures(self) -> list[str]:
        """Names of what is a number in any row."""
        names = (k for row in self.rows for k, v in row.items() if isinstance(v, Real))
        return [name for name in dict.fromkeys(names) if name != "seed"]

    def mean(
        self, arm: str, measure: str = "transfer", seeds: Sequence[int] | None = None
    ) -> float:
        """Return the mean of a measure over seeds.

        Args:
            arm: The arm's name.
            measure: A key of the rows.
            seeds: Places in `Result.seeds` to use; by default all.
        """
        values = self.values(arm, measure)
        return float(np.mean(values if seeds is None else [values[i] for i in seeds]))

    def displacement(self, arm: str, control: bool = False) -> Array:
        """Return how far an arm's students went their teacher's way: cosines, [seeds, blocks].

        They are NaN where students diverged or did not move.

        Args:
            arm: The arm's name.
            control: Those of its control student instead.

        Raises:
            KeyError: There is no such arm.
        """
        key = "control_cosines" if control else "cosines"
        n_blocks = self.config["base"]["model"]["n_layers"]
        self.values(arm)  # or KeyError: there is no such arm
        rows = [row[key] or [None] * n_blocks for row in self.rows if row["arm"] == arm]
        return np.array(rows, dtype=float)

    def estimate(self, arm: str, measure: str = "transfer") -> tuple[float, float, float]:
        """Return the mean over seeds and its 95 % interval; for `retained`, a ratio of two means.

        Args:
            arm: The arm's name.
            measure: A key of the rows.
        """
        if measure == "retained":
            with contextlib.suppress(KeyError):  # a sweep may have left the baseline out
                return statistics.estimate(self.values(arm), self.baseline(arm))
        return statistics.estimate(self.values(arm, measure))

    def baseline(self, arm: str) -> list[float]:
        """Return the transfer of the arm that is 100 % for an arm, one value per seed.

        Args:
            arm: The arm's name.

        Raises:
            KeyError: There is no such arm, or its baseline was not run.
        """
        return self.values(next((str(r.get("of")) for r in self.rows if r["arm"] == arm), arm))

    def compare(self, arm: str, other: str = "all") -> Comparison:
        """Return the difference in transfer, paired over seeds.

        Args:
            arm: The arm's name.
            other: What it is compared with.
        """
        found = statistics.paired_difference(self.values(arm), self.values(other))
        difference, (low, high), p = found
        return Comparison(arm, other, difference, low, high, p, len(self.seeds))

    def table(self) -> Table:
        """Return a row for each arm: what it transfers, retains and can do."""
        rows = [
            (
                e["arm"],
                format_interval(e["transfer"], e["low"], e["high"]),
                format_interval(e["retained"], e["retained_low"], e["retained_high"], ".0%"),
                format_number(e["hit_rate"]),
                format_number(e["task_accuracy"]),
            )
            for e in self.summary()
        ]
        head = ("arm", "transfer, nats\n[95 %]", "retained\n[95 %]", "hit\nrate", "task\nright")
        return Table(head, rows)

    def plot(self, measure: str = "transfer") -> Figure:
        """Draw the arms, one bar each, with seeds as dots and 95 % intervals.

        Args:
            measure: A key of the rows, such as "transfer", "retained", "hit_rate".

        Raises:
            KeyError: The rows have no such measure.
        """
        rows = [(arm, self.values(arm, measure), self.estimate(arm, measure)) for arm in self.arms]
        title = f"{self.finding} ({self.seeds_text})"
        return charts.bars(title, UNITS.get(measure, measure), rows)

    def to_records(self) -> list[Json]:
        """Return the rows as plain data, one for each seed and arm, without lists by bias."""
        return [
            {k: v for k, v in row.items() if not isinstance(v, list | dict)} for row in self.rows
        ]

    def to_pandas(self) -> Any:
        """Return the rows as a pandas data frame.

        Raises:
            MinisubError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MinisubError("to_pandas needs pandas, which is not installed") from None
        return pd.DataFrame(self.to_records())

    def _repr_html_(self) -> str:
        """Return the table of arms and the bar plot, as marimo and Jupyter show a result."""
        picture = base64.b64encode(style.to_bytes(self.plot(), "png", dpi=110)).decode()
        alt = html.escape(self.describe(), quote=True)
        image = f'<img src="data:image/png;base64,{picture}" alt="{alt}" style="max-width:100%">'
        return f"<p><b>{html.escape(self.title)}</b></p>{self.table().html()}{image}"

    def describe(self) -> str:
        """Return the result in a sentence, for those who cannot see a figure of it."""
        parts = []
        for entry in self.summary():
            text = f"{entry['arm']} {format_number(entry['transfer'])}"
            if not math.isnan(entry["low"]):
                text += f" ({entry['low']:.2f} to {entry['high']:.2f})"
            parts.append(text)
        arms = ", ".join(parts)
        return f"Transfer in nats, mean and 95 % interval over {self.seeds_text}: {arms}."

    @property
    def title(self) -> str:
        """The result's name and its seeds."""
        seeds = self.seeds
        return f"{self.finding}, seeds {seeds[0]} to {seeds[-1]} (n = {len(seeds)})"

    def __str__(self) -> str:
        return f"{self.title}\n{self.table().text()}"

    def summary(self) -> list[Json]:
        """Return means over seeds with intervals, one entry per arm."""
        out = []
        for arm in self.arms:
            transfer, low, high = self.estimate(arm)
            retained, retained_low, retained_high = self.estimate(arm, "retained")
            entry = {
                "arm": arm,
                "transfer": transfer,
                "low": low,
                "high": high,
                "retained": retained,
                "retained_low": retained_low,
                "retained_high": retained_high,
                "n": len(self.values(arm)),
            }
            for measure in (
                *("off_target", "hit_rate", "control_hit_rate", "distance", "task_accuracy"),
            ):
                entry[measure] = self.mean(arm, measure)
            out.append(entry)
        return out

    def to_json(self) -> str:
        """Return the content of the result's file, with a summary of each arm."""
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
        return json.dumps(rounded(content), indent=1, allow_nan=False) + "\n"

    def write(self, path: Path) -> None:
        """Write the result as a file, which `read_result` reads."""
        write_file(path, self.to_json().encode())


def read_result(path: Path) -> Result:
    """Read a result that was written.

    Raises:
        MinisubError: The file is missing, damaged or no result.
    """
    content = read_json(path)
    names = ("finding", "config", "provenance", "rows", "teachers", "lists", "claims", "probes")
    missing = [n for n in names if n not in content]
    if missing:
        raise MinisubError(f"{path} is no result of minisub: it has no {', '.join(missing)}")
    return Result(**{n: content[n] for n in names})
