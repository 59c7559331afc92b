"""What a visitor of the app gets at most, so that one cannot take all, nor a class thrash."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from minisub.arm import Config
from minisub.pool import CORES

# A form's values come from a browser, which may send any.
BOUNDS = {
    "lists": 16000,
    "student.steps": 2000,
    "student.batch": 64,
    "teaching.training.steps": 120,
}
SEEDS = 8

_turns = threading.BoundedSemaphore(CORES)  # of all visitors: they are threads of one process


def bounded(config: Config, seeds: Sequence[int] = ()) -> Config:
    """The same configuration; ValueError where training would cost more than the bounds allow."""
    for name, most in BOUNDS.items():
        value: Any = functools.reduce(getattr, name.split("."), config)
        if not value <= most:
            raise ValueError(f"{name} is {value}, allowed here: up to {most}")
    if len(seeds) > SEEDS:
        raise ValueError(f"{len(seeds)} seeds, allowed here: up to {SEEDS}")
    return config


def offered(value: float, first: float, last: float, step: float) -> float:
    """The step of a dial that is nearest to what a browser sent; ValueError beyond its ends.

    A dial has few positions, so that what visitors make is made, and stored, a few times only.
    """
    if not first <= value <= last:
        raise ValueError(f"the dial is at {value}, allowed here: {first} to {last}")
    return round(first + round((value - first) / step) * step, 9)


@contextlib.contextmanager
def turn(
    waiting: Callable[[], contextlib.AbstractContextManager[object]], most: int = 1
) -> Iterator[int]:
    """Hold turns, of which there are as many as cores: up to `most` of those that are free.

    `waiting()` is shown until there is one. Gives how many there are.
    """
    if not _turns.acquire(blocking=False):
        with waiting():
            _turns.acquire()
    held = 1
    while held < most and _turns.acquire(blocking=False):
        held += 1
    try:
        yield held
    finally:
        _turns.release(held)
