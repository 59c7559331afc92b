"""Limits on what one visitor of the app may train, so that a class can share the machine."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from minisub.common.processes import N_CORES
from minisub.experiment.config import Config

# A form's values come from a browser, which may send any.
MAXIMA = {
    "n_lists": 16000,
    "student.steps": 2000,
    "student.batch_size": 64,
    "teacher.training.steps": 120,
}
MAX_SEEDS_PER_VISITOR = 8

_turns = threading.BoundedSemaphore(N_CORES)  # of all visitors: they are threads of one process


def check_limits(config: Config, seeds: Sequence[int] = ()) -> Config:
    """Return the same configuration, if its training costs no more than a visitor may ask for.

    Args:
        config: What is to be trained.
        seeds: On which seeds.

    Raises:
        ValueError: It would cost more.
    """
    for name, most in MAXIMA.items():
        value: Any = functools.reduce(getattr, name.split("."), config)
        if not value <= most:
            raise ValueError(f"{name} is {value}, allowed here: up to {most}")
    if len(seeds) > MAX_SEEDS_PER_VISITOR:
        raise ValueError(f"{len(seeds)} seeds, allowed here: up to {MAX_SEEDS_PER_VISITOR}")
    return config


def nearest_step(value: float, first: float, last: float, step: float) -> float:
    """Return the step of a slider that is nearest to what a browser sent.

    A slider has few positions, so that what visitors make is made, and stored, a few times only.

    Args:
        value: What was sent.
        first: The lowest position.
        last: The highest position.
        step: The distance of positions.

    Raises:
        ValueError: It is beyond the ends.
    """
    if not first <= value <= last:
        raise ValueError(f"the dial is at {value}, allowed here: {first} to {last}")
    return round(first + round((value - first) / step) * step, 9)


@contextlib.contextmanager
def hold_turns(
    waiting: Callable[[], contextlib.AbstractContextManager[object]], most: int = 1
) -> Iterator[int]:
    """Hold turns, of which there are as many as cores, and give how many are held.

    Args:
        waiting: What is shown until there is one.
        most: How many to take of those that are free.
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
