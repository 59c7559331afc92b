"""Make results, figures and examples again, put them where they belong, and say what is stale.

    python tests/system/release.py OUT [--write] [--store FOLDER]

OUT is where `minisub reproduce --seeds 0:8 --all` writes; a store that has the results already is
read. Without `--write` nothing of the project is changed. The last lines name what is stale: stored
results, the page of results, figures of the docs, examples and thumbnails of the course. Exit
status 1 if anything is.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from minisub.common.files import write_file
from minisub.common.provenance import PACKAGE
from minisub.course import examples
from minisub.course.app import list_notebooks
from minisub.course.export import draw_thumbnail
from minisub.course.recording import EXAMPLES
from minisub.findings import every_finding
from minisub.viz import diagram
from minisub.viz.style import to_bytes

DOCS = PACKAGE.parent / "docs"
FIGURES = ("divergence", "layers", "page")
CLOSE = 1e-6  # numbers of one machine are the same to the last digit; of two they are not


def main(out: Path, write: bool, store: Path | None) -> int:
    """Run everything once, compare it with what is there, and return the exit status.

    Args:
        out: Where the run writes.
        write: Whether what is stale is replaced.
        store: Of the run; by default the user's.
    """
    command = [sys.executable, "-m", "minisub", "reproduce", "--seeds", "0:8", "--all"]
    command += ["--out", str(out)] + (["--store", str(store)] if store else [])
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    made: dict[Path, bytes] = {
        PACKAGE / "bundled" / f"{name}.json": (out / f"{name}.json").read_bytes()
        for name in every_finding()
    }
    made[DOCS / "results.md"] = (out / "results.md").read_bytes()
    for name in FIGURES:
        made[DOCS / f"{name}.svg"] = (out / f"{name}.svg").read_bytes()
    made[DOCS / "diagram.svg"] = to_bytes(diagram.draw(), "svg")
    examples.main(out / "examples.json")
    made[EXAMPLES] = (out / "examples.json").read_bytes()
    stale = [path for path, new in made.items() if not _is_same(path, new)]
    for path in stale if write else ():
        write_file(path, made[path])
    for notebook in list_notebooks():  # drawn from the stored results, as they are now
        picture = draw_thumbnail(notebook)
        if not _is_same(notebook.thumbnail, picture):
            stale.append(notebook.thumbnail)
            if write:
                write_file(notebook.thumbnail, picture)
    print("replaced:" if write else "stale:", *(stale or ["nothing"]), sep="\n  ")
    return int(bool(stale) and not write)


def _is_same(path: Path, new: bytes) -> bool:
    """Return whether a file says what was made now, but for who made it and when."""
    if not path.exists():
        return False
    old = path.read_bytes()
    if path.suffix == ".json":
        a, b = (_numbers(json.loads(text)) for text in (old, new))
        return a.keys() == b.keys() and all(_is_close(a[key], b[key]) for key in a)
    if path.suffix == ".md":
        a_lines, b_lines = ([x for x in text.split(b"\n") if not x.startswith(b"Made by ")]
                            for text in (old, new))  # fmt: skip
        return a_lines == b_lines
    return old == new


def _numbers(content: object, where: str = "") -> dict[str, object]:
    """Return everything in plain data by its place, but for its provenance."""
    if isinstance(content, dict):
        items = [(k, v) for k, v in content.items() if k != "provenance"]
    elif isinstance(content, list):
        items = [(str(i), v) for i, v in enumerate(content)]
    else:
        return {where: content}
    return {k: v for key, value in items for k, v in _numbers(value, f"{where}/{key}").items()}


def _is_close(a: object, b: object) -> bool:
    if isinstance(a, float | int) and isinstance(b, float | int):
        return abs(a - b) <= CLOSE
    return a == b


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--write", action="store_true", help="replace what is stale")
    parser.add_argument("--store", type=Path)
    given = parser.parse_args()
    sys.exit(main(given.out, given.write, given.store))
