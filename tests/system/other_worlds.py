"""Judge the page of headlines where nobody has looked: other seeds, other worlds, double precision.

    python tests/system/other_worlds.py STORE [VARIANT ...]

Prints one table: a row for each headline, a column for each variant. Bases are pretrained where
they are not stored (some fifteen seconds each). "seeds 0 to 7" is the stored page, anew.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from minisub.common.store import Store
from minisub.distillation.base import load_base
from minisub.experiment import seed_lab
from minisub.experiment.arm import Arm
from minisub.experiment.config import with_overrides
from minisub.experiment.options import RunOptions
from minisub.findings import headline
from minisub.findings.finding import Finding, run_findings
from minisub.transformer.stack import TransformerStack

HELD_OUT = range(2000, 2008)
SIX = ("yak", "gnu", "emu", "boa", "kea", "ibis")
VARIANTS: dict[str, tuple[range, Mapping[str, Any]]] = {
    "seeds 0 to 7": (range(8), {}),
    "seeds 2000 to 2007": (HELD_OUT, {}),
    "layout 1": (HELD_OUT, {"base.world.layout_seed": 1}),
    "layout 2": (HELD_OUT, {"base.world.layout_seed": 2}),
    "48 numbers, 6 animals": (HELD_OUT, {"base.world.n_numbers": 48, "base.world.animals": SIX}),
    "double precision": (range(8), {}),
}


def elsewhere(finding: Finding, changes: Mapping[str, Any]) -> Finding:
    """Return a finding in another world, for all its arms."""

    def moved(arm: Arm) -> Arm:
        overrides = dict(arm.overrides)
        if "base" in overrides:
            inner = {name.removeprefix("base."): value for name, value in changes.items()}
            overrides["base"] = with_overrides(overrides["base"], inner)
        return replace(arm, overrides=overrides)

    config = with_overrides(finding.config, changes)
    return replace(finding, config=config, arms=tuple(map(moved, finding.arms)))


def in_double_precision(*args: Any) -> TransformerStack:
    """Return a base in double precision: all that is made from it is too."""
    base = load_base(*args)
    return TransformerStack(base.config, base.flat_params.double())


def main(store: Path, names: list[str]) -> None:
    """Run the variants and print their verdicts."""
    columns: dict[str, list[tuple[str, str, str, str]]] = {}
    for name in names or list(VARIANTS):
        seeds, changes = VARIANTS[name]
        is_double = name == "double precision"
        load: Callable[..., TransformerStack] = in_double_precision if is_double else load_base
        seed_lab.load_base = load
        findings = [elsewhere(finding, changes) for finding in headline.quick_findings()]
        # In one process where a function was replaced: others would not know of it.
        where = Store(store / ("double" if is_double else "single"))
        options = RunOptions(list(seeds), where, 1 if is_double else None)
        results = run_findings(findings, options)
        columns[name] = headline.page_rows({result.finding: result for result in results})
        print(f"\n{name}", flush=True)
        for claim, _, measured, verdict in columns[name]:
            print(f"  {verdict:10} {measured:28} {claim}", flush=True)
    print("\n| headline | " + " | ".join(columns) + " |")
    print("|---" * (1 + len(columns)) + "|")
    for rows in zip(*columns.values(), strict=True):
        cells = [f"{measured}, {verdict}" for _, _, measured, verdict in rows]
        print(f"| {rows[0][0]} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
