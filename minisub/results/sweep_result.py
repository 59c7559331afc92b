"""What a sweep found: one table of rows, settings first."""

import csv
import io
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minisub.common.files import Json, write_file
from minisub.results.result import Result
from minisub.results.tables import Table, format_interval

Settings = Mapping[str, Sequence[Any]]


def combinations(settings: Settings) -> list[Json]:
    """Return each value of each setting with each of the others, the last setting fastest."""
    return [dict(zip(settings, v, strict=True)) for v in itertools.product(*settings.values())]


def value_text(name: str, value: Any) -> str:
    """Return a setting's value as text; a LoRA rank of 0 is "full".

    Args:
        name: Of the setting.
        value: Its value.
    """
    is_rank = name.rpartition(".")[2] in ("rank", "lora_rank")
    return "full" if is_rank and value == 0 else str(value)


@dataclass(frozen=True)
class SweepResult:
    """What a sweep found. `rows`: one for each point, seed and arm, settings first."""

    name: str
    settings: dict[str, list[Any]]
    rows: list[Json]

    def csv(self) -> str:
        """Return the rows as comma-separated text, with a header."""
        # Of all rows: those of students that diverged have other names.
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        out = io.StringIO()
        writer = csv.DictWriter(out, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return out.getvalue()

    def jsonl(self) -> str:
        """Return the rows as text, one JSON object per line."""
        return "".join(json.dumps(row, allow_nan=False) + "\n" for row in self.rows)

    def write(self, folder: Path) -> None:
        """Write sweep.csv and sweep.jsonl, which hold the same rows."""
        write_file(folder / "sweep.csv", self.csv().encode())
        write_file(folder / "sweep.jsonl", self.jsonl().encode())

    def values(self, point: Json, arm: str, measure: str = "transfer") -> list[float]:
        """Return one value per seed.

        Args:
            point: A value for each setting.
            arm: The arm's name.
            measure: A key of the rows.
        """
        return self.at(point).values(arm, measure)

    def at(self, point: Json) -> Result:
        """Return what was found at one combination of the settings."""
        fits = [row for row in self.rows if all(row[k] == v for k, v in point.items())]
        return Result(self.name, {}, {}, fits)

    @property
    def points(self) -> list[Json]:
        """Every combination of the settings."""
        return combinations(self.settings)

    @property
    def arms(self) -> list[str]:
        """Names of the arms, in order."""
        return list(dict.fromkeys(row["arm"] for row in self.rows))

    def table(self) -> Table:
        """Return means over seeds with intervals, a row for each point and arm."""
        rows = []
        for point in self.points:
            found = self.at(point)
            for arm in self.arms:
                texts = [
                    format_interval(*found.estimate(arm, measure), form)
                    for measure, form in (("transfer", "+.2f"), ("retained", ".0%"))
                ]
                if self._is_baseline(arm):
                    texts[1] = "baseline"  # 100 % of itself at every point
                lr = next(row["lr"] for row in found.rows if row["arm"] == arm)
                values = [value_text(name, value) for name, value in point.items()]
                rows.append((*values, arm, f"{lr:g}", *texts))
        head = (*self.settings, "arm", "rate", "transfer, nats\n[95 %]", "retained\n[95 %]")
        return Table(head, rows)

    def _is_baseline(self, arm: str) -> bool:
        return any(row["arm"] == arm == row.get("of") for row in self.rows)
