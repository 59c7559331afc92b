"""What each arm retained of its baseline, in the rows of a result."""

import math
from collections.abc import Sequence
from typing import Any

from minisub.common.files import Json
from minisub.results import statistics


def add_retained(rows: Sequence[Json]) -> list[Json]:
    """Return the rows of all seeds, each with what it `retained` of its baseline.

    That is a ratio of means over the seeds, so no row can explode because its own baseline is small
    (see `statistics.linearised_ratios`). None where there is no such arm, or nothing to retain.
    """
    transfer = {(row["seed"], row["arm"]): row["transfer"] for row in rows}
    found: dict[tuple[Any, Any], float] = {}
    for arm, baseline in {(row["arm"], row["of"]): None for row in rows}:
        seeds = [s for s, name in transfer if name == arm and (s, baseline) in transfer]
        parts, wholes = ([transfer[s, name] for s in seeds] for name in (arm, baseline))
        if seeds and None not in (*parts, *wholes):
            values = statistics.linearised_ratios(parts, wholes)
            found |= {(s, arm): v for s, v in zip(seeds, values, strict=True) if math.isfinite(v)}
    return [{**row, "retained": found.get((row["seed"], row["arm"]))} for row in rows]
