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
MAX_WAITING = 60  # in the queue: two classes; who is beyond would wait for too long


class QueueFull(RuntimeError):
    """So many wait for their turn that no more are let in; the text is for the visitor."""


class Turns:
    """So many trainings at a time; who comes first is served first, and each knows its place.

    Args:
        n: How many turns there are.
        most: How many may wait.
    """

    def __init__(self, n: int, most: int = MAX_WAITING) -> None:
        self.n_free, self.most = n, most
        self._waiting: list[object] = []
        self._changed = threading.Condition()

    def take(self, on_place: Callable[[int], None]) -> None:
        """Take a turn, when it is one's own.

        Args:
            on_place: Called with one's place in the queue, from 1, whenever that changes; at the
                end with 0.

        Raises:
            QueueFull: Too many wait already.
        """
        me, told = object(), 0
        with self._changed:
            if len(self._waiting) >= self.most + self.n_free:
                raise QueueFull(
                    f"{self.most} others wait for their turn. Try again in some minutes."
                )
            self._waiting.append(me)
        try:
            while (place := self._place(me, told)) > 0:
                told = place
                on_place(place)  # which may be slow: others need not wait for it
            if told:
                on_place(0)
        except BaseException:
            with self._changed:
                if me in self._waiting:
                    self._waiting.remove(me)
                else:  # the turn was taken, and no one will use it
                    self.n_free += 1
                self._changed.notify_all()
            if told:
                with contextlib.suppress(Exception):  # the first error is the one to tell
                    on_place(0)
            raise

    def _place(self, me: object, told: int) -> int:
        """Wait until a place is another than was told; return it, or take a turn and return 0."""
        with self._changed:
            while True:
                place = 1 + self._waiting.index(me)
                if place <= self.n_free:
                    self.n_free -= 1
                    self._waiting.remove(me)
                    self._changed.notify_all()
                    return 0
                if place != told:
                    return place
                self._changed.wait()

    def take_free(self, most: int) -> int:
        """Take turns that no one waits for, and return how many.

        Args:
            most: Not more than these.
        """
        with self._changed:
            found = max(0, min(most, self.n_free - len(self._waiting)))
            self.n_free -= found
            return found

    def give_back(self, n: int) -> None:
        """Give turns back.

        Args:
            n: How many.
        """
        with self._changed:
            self.n_free += n
            self._changed.notify_all()


_turns = Turns(N_CORES)  # of all visitors: they are threads of one process


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

    marimo passes on what a browser sends, whether a slider can stand there or not. What visitors
    make is stored for each position, so positions are few. (How much all of it may take on the disk
    is bounded elsewhere, by `CourseStore`.)

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


def whole_step(value: float, first: int, last: int) -> int:
    """Return the whole number that is nearest to what a browser sent for a slider.

    Args:
        value: What was sent.
        first: The lowest position.
        last: The highest position.

    Raises:
        ValueError: It is beyond the ends.
    """
    return round(nearest_step(value, first, last, 1))


@contextlib.contextmanager
def hold_turns(on_place: Callable[[int], None], most: int = 1) -> Iterator[int]:
    """Hold turns, of which there are as many as cores, and give how many are held.

    Args:
        on_place: See `Turns.take`.
        most: How many to take of those that are free.

    Raises:
        QueueFull: Too many wait already.
    """
    _turns.take(on_place)
    held = 1
    try:
        held += _turns.take_free(most - 1)
        yield held
    finally:
        _turns.give_back(held)
