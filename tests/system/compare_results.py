"""Compare the rows of two runs: by how much does each measure differ at most?

    python tests/system/compare_results.py BEFORE AFTER

Each is a folder with the JSON files of `minisub reproduce`. Rows of seeds and arms
that both have are compared; exit status 1 where a number differs by more than 1e-6.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any


def rows(folder: Path) -> dict[tuple[str, int, str], dict[str, Any]]:
    """Return the rows of all findings, by finding, seed and arm."""
    return {
        (file.stem, row["seed"], row["arm"]): row
        for file in sorted(folder.glob("*.json"))
        for row in json.loads(file.read_text())["rows"]
    }


def main(before: Path, after: Path) -> int:
    old, new = rows(before), rows(after)
    both = [key for key in old if key in new]
    gaps: dict[str, tuple[float, tuple[str, int, str]]] = {}
    for key in both:
        for name in (n for n in old[key] if n != "retained"):  # a mean over the seeds of a run
            a, b = old[key][name], new[key].get(name)
            if isinstance(a, float | int) and isinstance(b, float | int):
                gap = abs(a - b)
            else:
                gap = 0.0 if a == b or isinstance(a, list) else math.inf
            if gap > gaps.get(name, (-1.0, key))[0]:
                gaps[name] = gap, key
    print(f"{len(both)} rows in both, {len(old)} before, {len(new)} after")
    for name, (gap, key) in gaps.items():
        print(f"{name:22} {gap:.1e}" + (f"  ({', '.join(map(str, key))})" if gap else ""))
    return int(not both or any(gap > 1e-6 for gap, _ in gaps.values()))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
