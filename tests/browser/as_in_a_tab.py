"""Run a page with what a tab has: the stand-in, one thread, no processes, no command line."""

import runpy
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any

MISSING = ("multiprocessing.connection", "concurrent.futures.process", "tyro", "dask")


class Absent(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> Any:
        if name in MISSING:
            raise ModuleNotFoundError(f"no module {name} in a browser")
        return None


if __name__ == "__main__":
    import marimo  # has its own way to do without them
    import torch

    for absent in MISSING:
        sys.modules.pop(absent, None)
    sys.meta_path.insert(0, Absent())
    assert marimo.__version__

    assert torch.__version__.endswith("+minisub"), torch.__file__
    runpy.run_path(sys.argv[1], run_name="__main__")
    heavy = [name for name in ("scipy", "multiprocessing.process") if name in sys.modules]
    print("loaded:", ", ".join(heavy) or "nothing heavy")
