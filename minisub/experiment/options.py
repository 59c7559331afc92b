"""How a study is run: seeds, processes, store, device, progress."""

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import SupportsIndex

import torch

from minisub.common.processes import OnProgress, no_progress
from minisub.common.store import Store

MOST_SEEDS = 100_000


@dataclass(frozen=True)
class RunOptions:
    """How a study is run; nothing here changes what is found on one machine.

    Attributes:
        seeds: Whole numbers from 0 on, each once.
        store: Where results are kept, or its folder.
        workers: Processes of one thread each; None for one per core; 1 runs here.
        device: Where models are trained.
        on_progress: Called after each arm of each seed.
    """

    seeds: Sequence[int] = tuple(range(8))
    store: Store = field(default_factory=Store.default)
    workers: int | None = None
    device: str = "cpu"
    on_progress: OnProgress = no_progress

    def __post_init__(self) -> None:
        object.__setattr__(self, "seeds", checked_seeds(self.seeds))
        if isinstance(self.store, str | Path):
            object.__setattr__(self, "store", Store(self.store))
        if not isinstance(self.store, Store):
            raise ValueError(f"store is {self.store!r}, allowed: a Store, or a folder")
        check_device(self.device)
        is_count = isinstance(self.workers, int) and not isinstance(self.workers, bool)
        if self.workers is not None and not (is_count and self.workers >= 1):
            raise ValueError(f"workers is {self.workers!r}, allowed: 1 and more, or None")
        if not callable(self.on_progress):
            raise ValueError(f"on_progress is {self.on_progress!r}, allowed: a function")


def check_device(name: str) -> None:
    """Raise an error where models cannot be trained.

    Before torch 2.9, MPS computed linear layers wrongly on inputs that are not contiguous.

    Args:
        name: Such as "cpu", "cuda", "cuda:1" or "mps".

    Raises:
        ValueError: This machine does not have it, or computes wrongly on it.
    """
    there = ["cpu"] + ["mps"] * torch.backends.mps.is_available()
    if torch.cuda.is_available():
        there += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if name not in there:
        raise ValueError(f"device is {name!r}, allowed on this machine: {', '.join(there)}")
    major, minor = map(int, torch.__version__.split(".")[:2])
    if name == "mps" and (major, minor) < (2, 9):
        raise ValueError(
            f"device is 'mps', allowed from torch 2.9 on: {torch.__version__} computes linear "
            "layers wrongly there"
        )


def checked_seeds(seeds: Iterable[SupportsIndex]) -> tuple[int, ...]:
    """Return seeds as plain integers.

    Raises:
        ValueError: They are none, not whole numbers, below 0, or not each given once.
    """
    allowed = "allowed: whole numbers from 0 on, each once, such as range(8)"
    try:
        found = tuple(operator.index(seed) for seed in islice(seeds, MOST_SEEDS + 1))
    except TypeError:
        raise ValueError(f"seeds are {seeds!r}, {allowed}") from None
    if len(found) > MOST_SEEDS:
        raise ValueError(
            f"there are more than {MOST_SEEDS:,} seeds, allowed: at most {MOST_SEEDS:,}"
        )
    if not found or min(found) < 0 or len(set(found)) < len(found):
        raise ValueError(f"seeds are {list(found)}, {allowed}")
    return found
