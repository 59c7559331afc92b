"""Progress bars: in a terminal, in marimo and in Jupyter, and nowhere else."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from tqdm import tqdm

from minisub.common.processes import OnProgress


@contextmanager
def progress_bar(
    total: int | None, name: str, unit: str, leave: bool = False
) -> Iterator[OnProgress]:
    """Show a progress bar with the time left, and give what moves it by one.

    Args:
        total: How many pieces of work there are; None if that is not known.
        name: Before the bar.
        unit: What is counted.
        leave: Whether the bar stays.
    """
    if in_marimo() and total is not None:
        import marimo as mo

        with mo.status.progress_bar(
            total=total, title=name, show_eta=True, remove_on_exit=not leave
        ) as bar:
            yield partial(_update, bar)
    else:
        hidden = False if in_jupyter() else None  # None: hidden unless stderr is a terminal
        with tqdm(total=total, desc=name, unit=unit, leave=leave, disable=hidden) as bar:
            yield partial(_update, bar)


def in_marimo() -> bool:
    """Return whether this thread runs a marimo notebook that somebody looks at."""
    marimo = sys.modules.get("marimo")
    return marimo is not None and bool(marimo.running_in_notebook())


def in_jupyter() -> bool:
    """Return whether this process is the kernel of a Jupyter notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def _update(bar: Any) -> None:
    bar.update()
